// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/layer_prover.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "agent/identify/id_map.h"
#include "agent/identify/layer_dialect.h"
#include "common/base/encoding.h"
#include "common/image/directory.h"
#include "common/image/layer_diff.h"
#include "common/image/layer_stream.h"

namespace assay::agent {
namespace {

constexpr int kWalkAttempts = 3;            // of a directory that changes while it is walked
constexpr std::size_t kMaxPathBytes = 200;  // of one path in an outcome, escaped
constexpr std::size_t kMaxReasonBytes = 300;
constexpr std::uint64_t kMaxNamed = 200'000;  // entries; some 250 bytes each to name paths by

/// The paths that differ, each once.
class Differences {
 public:
  explicit Differences(ExactOutcome& outcome) : outcome_(outcome) {}

  void add(std::string_view path, std::string_view what) {
    if (!known_.insert(std::string(path)).second) return;
    if (outcome_.paths.size() >= kMaxExactPaths) {
      ++outcome_.more_paths;
      return;
    }
    outcome_.paths.push_back("/" + escape_untrusted(path, kMaxPathBytes) + " (" +
                             std::string(what) + ")");
  }
  void add(const image::PathDifference& difference) {
    if (difference.change == image::PathChange::kAdded) return add(difference.path, "added");
    if (difference.change == image::PathChange::kRemoved) return add(difference.path, "removed");
    std::string what;
    for (const std::string_view word : difference.what)
      what.append(what.empty() ? "" : ", ").append(word);
    add(difference.path, what);
  }

 private:
  ExactOutcome& outcome_;
  std::set<std::string> known_;
};

bool is_mark(const image::PathDifference& difference) {
  return difference.before == nullptr && difference.after == nullptr;
}

/// What both sides hold, after one look at each.
struct Look {
  image::LayerStream stream;
  image::LayerFingerprint directory;

  bool is_equal() const {
    return stream.layer.shape == directory.shape && stream.layer.content == directory.content;
  }
};

class Prover {
 public:
  Prover(const Layer& layer, const LayerTask& task, const image::FingerprintLimits& limits,
         const std::stop_token& stop, IdMap id_map)
      : layer_(layer), task_(task), limits_(limits), stop_(stop), id_map_(std::move(id_map)) {}

  Result<image::LayerStream> read(UniqueFd source, StreamPlace::Kind kind,
                                  image::LayerObserver* observer) const {
    return kind == StreamPlace::Kind::kBlob
               ? image::read_layer_blob(std::move(source), limits_, observer, stop_)
               : image::read_tar_split(std::move(source), layer_.fd(), limits_, observer, stop_);
  }

  /// Under the id map of the container, or without one where the layer was not shifted for it.
  Result<image::LayerFingerprint> walk(image::LayerObserver* observer) {
    image::WalkOptions options;
    options.dialect = dialect_of(task_);
    options.limits = limits_;
    options.observer = observer;
    for (int attempt = 1;; ++attempt) {
      options.uid_map = id_map_.uids;
      options.gid_map = id_map_.gids;
      auto found = image::fingerprint_directory(layer_.fd(), options, stop_);
      if (found || observer != nullptr || attempt == kWalkAttempts) return found;
      const ErrorCode code = found.error().code;
      if (code == ErrorCode::kUnsupported && !id_map_.text.empty())
        id_map_ = {};
      else if (code != ErrorCode::kCorrupt && code != ErrorCode::kNotFound)
        return found;
    }
  }

  LayerKey key() const {
    return {layer_.instance(), id_map_.text, overlay_options_of(task_), image::kFingerprintVersion};
  }

 private:
  const Layer& layer_;
  const LayerTask& task_;
  const image::FingerprintLimits& limits_;
  const std::stop_token& stop_;
  IdMap id_map_;
};

Result<IdMap> id_map_for(const LayerTask& task, int fd) {
  struct stat root = {};
  if (::fstat(fd, &root) != 0) return system_error("fstat");
  return choose_id_map(id_maps_of(task), root.st_uid);
}

Proof without_source(ExactOutcome outcome, const std::string& reason) {
  outcome.status = ExactStatus::kNoSource;
  outcome.reason = escape_untrusted(reason, kMaxReasonBytes);
  return {std::move(outcome), std::nullopt, std::nullopt};
}

/// Why nothing can be proven with this claim; "" when it can.
std::string missing_in(const std::optional<LayerClaim>& claim) {
  if (!claim || !claim->diff_id) return "no store says which layer it is";
  if (claim->is_for_display) return "someone but root may write its store";
  if (claim->stream.kind != StreamPlace::Kind::kNone) return "";
  return claim->stream.missing.empty() ? "its store keeps no tar stream" : claim->stream.missing;
}

/// One check of one layer.
class Check {
 public:
  Check(const LayerProver::Ports& ports, const LayerTask& task, LayerClaim claim,
        ExactOutcome outcome)
      : ports_(ports), task_(task), claim_(std::move(claim)), outcome_(std::move(outcome)) {}

  Result<Proof> run(Prover& prover) {
    ASSAY_ASSIGN(Look look, this->look(prover));
    bool is_proven = is_claimed(look) && look.is_equal();
    if (!is_proven && outcome_.status != ExactStatus::kNoSource) {
      const bool is_named = look.stream.layer.entries <= kMaxNamed;
      ASSAY_ASSIGN(look, compare(prover, is_named));
      is_proven = is_claimed(look) && look.is_equal();
    }
    if (outcome_.status == ExactStatus::kNoSource) return without_source(outcome_, outcome_.reason);
    outcome_.status = is_proven ? ExactStatus::kExact : ExactStatus::kDiffers;
    Proof proof{std::move(outcome_), std::nullopt, prover.key()};
    if (is_proven) {
      proof.outcome.paths.clear();
      proof.outcome.more_paths = 0;
      proof.outcome.is_other_shape = proof.outcome.is_other_content = false;
      proof.exact = LayerExact{ref_of(task_.layer), *claim_.diff_id, look.directory.shape,
                               *look.directory.content};
    }
    return proof;
  }

 private:
  bool is_claimed(const Look& look) const {
    return outcome_.found && look.stream.diff_id == *claim_.diff_id;
  }

  /// The stream; what cannot be read of it is said in the outcome. Errors: that nobody could look.
  Result<void> take_stream(const Prover& prover, image::LayerObserver* observer, Look& look) {
    outcome_.found.reset();
    outcome_.reason.clear();
    auto source = ports_.streams.open(claim_.stream);
    auto stream = source ? prover.read(std::move(*source), claim_.stream.kind, observer)
                         : Result<image::LayerStream>(source.error());
    if (stream) {
      outcome_.found = stream->diff_id;
      outcome_.is_other_diff_id = stream->diff_id != *claim_.diff_id;
      outcome_.stream_bytes = stream->bytes;
      look.stream = std::move(*stream);
      return ok();
    }
    const ErrorCode code = stream.error().code;
    outcome_.reason = escape_untrusted(stream.error().text(), kMaxReasonBytes);
    if (!source || code == ErrorCode::kUnsupported) {
      outcome_.status = ExactStatus::kNoSource;
      return ok();
    }
    if (code != ErrorCode::kCorrupt) return std::move(stream.error());
    outcome_.is_other_diff_id = true;
    return ok();
  }

  Result<Look> look(Prover& prover) {
    Look look;
    ASSAY_TRY(take_stream(prover, nullptr, look));
    if (!outcome_.found) return look;
    ASSAY_ASSIGN(look.directory, prover.walk(nullptr));
    return look;
  }

  /// Again, and with the paths where they are not too many to keep.
  Result<Look> compare(Prover& prover, bool is_named) {
    Look look;
    image::RecordKeeper keeper;
    ASSAY_TRY(take_stream(prover, is_named ? &keeper : nullptr, look));
    if (!outcome_.found) return look;
    Differences differences(outcome_);
    const image::LayerRecords records = keeper.take();
    image::LayerDiffer differ(records, [&](const image::PathDifference& difference) {
      if (!is_mark(difference)) differences.add(difference);
    });
    ASSAY_ASSIGN(look.directory, prover.walk(is_named ? &differ : nullptr));
    for (const image::StreamProblem& problem : look.stream.problems)
      differences.add(problem.path, problem.what);
    outcome_.more_paths += look.stream.problem_count - look.stream.problems.size();
    const image::LayerFingerprint& stream = look.stream.layer;
    outcome_.is_other_shape = stream.shape != look.directory.shape;
    outcome_.is_other_content = stream.content != look.directory.content;
    outcome_.is_other_deletions = stream.deletions && look.directory.deletions &&
                                  *stream.deletions != *look.directory.deletions;
    return look;
  }

  const LayerProver::Ports& ports_;
  const LayerTask& task_;
  const LayerClaim claim_;
  ExactOutcome outcome_;
};

}  // namespace

Result<Proof> LayerProver::prove(const LayerTask& task, const image::FingerprintLimits& limits,
                                 const std::stop_token& stop) const {
  ExactOutcome outcome;
  if (task.is_root_directory)
    return without_source(outcome, "a root without layers has no tar stream");
  const std::optional<LayerClaim> claim = ports_.claims.recall(ref_of(task.layer));
  if (claim) outcome.claimed = claim->diff_id;
  if (const std::string missing = missing_in(claim); !missing.empty())
    return without_source(outcome, missing);
  outcome.source = claim->stream.kind;
  outcome.status = ExactStatus::kDiffers;  // until it is known better
  ASSAY_ASSIGN(const std::unique_ptr<Layer> layer, ports_.opener.open(task.layer, task.start));
  ASSAY_ASSIGN(IdMap id_map, id_map_for(task, layer->fd()));
  Prover prover(*layer, task, limits, stop, std::move(id_map));
  return Check(ports_, task, *claim, std::move(outcome)).run(prover);
}

}  // namespace assay::agent
