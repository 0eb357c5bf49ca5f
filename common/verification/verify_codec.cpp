// SPDX-License-Identifier: Apache-2.0
#include "common/verification/verify_codec.h"

#include <algorithm>

#include "assay/v1/verify.pb.h"
#include "common/base/encoding.h"

namespace assay::verification {
namespace {

namespace wire = assay::v1;
using catalog::VerifiedLayer;

constexpr std::size_t kMaxTextBytes = 512;
constexpr std::size_t kMaxTamperedBytes = 4096;
constexpr std::size_t kMaxMessageBytes = 2048;
constexpr int kMaxChecked = 8;

std::string text(std::string_view raw, std::size_t max_bytes = kMaxTextBytes) {
  return escape_untrusted(raw, max_bytes);
}

/// As it came, but no longer than its limit.
std::string bounded(const std::string& given, std::size_t max_bytes = kMaxTextBytes) {
  return given.size() <= max_bytes ? given : escape_untrusted(given, max_bytes);
}

template <typename Digest>
std::string raw(const std::optional<Digest>& digest) {
  return digest ? std::string(digest->raw()) : std::string();
}

template <typename Digest>
Result<std::optional<Digest>> digest_from(const std::string& bytes) {
  if (bytes.empty()) return std::optional<Digest>();
  auto digest = Digest::from_raw(bytes);
  if (!digest) return Error{ErrorCode::kCorrupt, "verify event: " + digest.error().message};
  return std::optional<Digest>(*digest);
}

std::optional<ErrorCode> error_from(const std::string& word) {
  if (word.empty()) return std::nullopt;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code)
    if (to_string(static_cast<ErrorCode>(code)) == word) return static_cast<ErrorCode>(code);
  return ErrorCode::kInternal;
}

void encode_event(const catalog::VerifyBegun& begun, wire::VerifyEvent& out) {
  out.mutable_begun()->set_layers(begun.layers);
}

void encode_event(const catalog::VerifyProgress& progress, wire::VerifyEvent& out) {
  out.mutable_progress()->set_files(progress.files);
  out.mutable_progress()->set_bytes(progress.bytes);
}

void encode_event(const VerifiedLayer& layer, wire::VerifyEvent& event) {
  wire::VerifiedLayer& out = *event.mutable_layer();
  for (const catalog::VerifiedContainer& container : layer.containers) {
    if (out.containers_size() >= static_cast<int>(catalog::kMaxVerifiedContainers)) break;
    wire::VerifiedContainer& one = *out.add_containers();
    one.set_run_id(text(container.run_id));
    one.set_container_id(text(container.container_id));
    one.set_name(text(container.name));
  }
  out.set_containers_total(layer.containers_total);
  out.set_name(text(layer.name));
  out.set_diff_id(raw(layer.diff_id));
  out.set_shape(raw(layer.shape));
  out.set_content(raw(layer.content));
  out.set_outcome(std::string(to_string(layer.outcome)));
  for (const std::string& one : layer.checked)
    if (out.checked_size() < kMaxChecked) out.add_checked(text(one));
  for (const std::string& one : layer.changes)
    if (out.changes_size() < static_cast<int>(catalog::kMaxVerifiedChanges))
      out.add_changes(bounded(one));
  out.set_tampered(bounded(layer.tampered, kMaxTamperedBytes));
  out.set_reason(text(layer.reason));
  out.set_entries(layer.entries);
  out.set_files_read(layer.files_read);
  out.set_bytes_read(layer.bytes_read);
  out.set_took_ns(layer.took.count());
}

void encode_event(const catalog::VerifyDone& done, wire::VerifyEvent& out) {
  if (done.error) out.mutable_done()->set_error(std::string(to_string(*done.error)));
  out.mutable_done()->set_message(text(done.message, kMaxMessageBytes));
}

void decode_lists(const wire::VerifiedLayer& in, VerifiedLayer& layer) {
  for (const wire::VerifiedContainer& container : in.containers()) {
    if (layer.containers.size() >= catalog::kMaxVerifiedContainers) break;
    layer.containers.push_back({bounded(container.run_id()), bounded(container.container_id()),
                                bounded(container.name())});
  }
  for (const std::string& one : in.checked())
    if (layer.checked.size() < kMaxChecked) layer.checked.push_back(bounded(one));
  for (const std::string& one : in.changes())
    if (layer.changes.size() < catalog::kMaxVerifiedChanges) layer.changes.push_back(bounded(one));
}

Result<catalog::VerifyEvent> decode_layer(const wire::VerifiedLayer& in) {
  VerifiedLayer layer;
  decode_lists(in, layer);
  layer.containers_total =
      std::max(in.containers_total(), static_cast<std::uint32_t>(layer.containers.size()));
  layer.name = bounded(in.name());
  ASSAY_ASSIGN(layer.diff_id, digest_from<DiffId>(in.diff_id()));
  ASSAY_ASSIGN(layer.shape, digest_from<ShapeDigest>(in.shape()));
  ASSAY_ASSIGN(layer.content, digest_from<ContentDigest>(in.content()));
  layer.outcome = catalog::parse_layer_outcome(in.outcome());
  layer.tampered = bounded(in.tampered(), kMaxTamperedBytes);
  layer.reason = bounded(in.reason());
  layer.entries = in.entries();
  layer.files_read = in.files_read();
  layer.bytes_read = in.bytes_read();
  layer.took = std::chrono::nanoseconds(in.took_ns());
  return catalog::VerifyEvent(std::move(layer));
}

}  // namespace

std::string encode(const catalog::VerifyEvent& event) {
  wire::VerifyEvent out;
  std::visit([&](const auto& one) { encode_event(one, out); }, event);
  return out.SerializeAsString();
}

Result<catalog::VerifyEvent> decode(std::string_view bytes) {
  wire::VerifyEvent in;
  if (bytes.size() > static_cast<std::size_t>(kMaxEventBytes) ||
      !in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Error{ErrorCode::kCorrupt, "verify event: not a protobuf message"};
  switch (in.event_case()) {
    case wire::VerifyEvent::kBegun:
      return catalog::VerifyEvent(catalog::VerifyBegun{in.begun().layers()});
    case wire::VerifyEvent::kProgress:
      return catalog::VerifyEvent(
          catalog::VerifyProgress{in.progress().files(), in.progress().bytes()});
    case wire::VerifyEvent::kLayer:
      return decode_layer(in.layer());
    case wire::VerifyEvent::kDone:
      return catalog::VerifyEvent(catalog::VerifyDone{
          error_from(in.done().error()), bounded(in.done().message(), kMaxMessageBytes)});
    case wire::VerifyEvent::EVENT_NOT_SET:
      break;
  }
  return Error{ErrorCode::kCorrupt, "verify event: none that is known here"};
}

}  // namespace assay::verification
