// SPDX-License-Identifier: Apache-2.0
// `assay base discover`: what runs and stands on no base, and how a choice of it becomes drafts.
#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <set>

#include "cli/about_view.h"
#include "cli/base_change.h"
#include "cli/commands.h"
#include "common/output/table.h"

namespace assay::cli {
namespace {

constexpr std::size_t kShortId = 12;
constexpr std::size_t kMinIdDigits = 6;

struct Options {
  ChangeOptions change;
  std::vector<std::string> drafts;  ///< NAME[:VERSION]=NUMBER or ID
  std::uint32_t max_proposals = 0;
};

/// One choice of the person.
struct Choice {
  catalog::BaseId base;
  const Proposal* proposal = nullptr;
};

/// A name that says what the layers claim to be; a version that no other proposal has.
std::string suggested_name(const Proposal& proposal) {
  std::string name = "base";
  std::string version = proposal.id.substr(0, kShortId);
  if (const auto& distribution = proposal.about.distribution) {
    const std::string claimed = distribution->id + ":" + distribution->version + "-" + version;
    if (!distribution->id.empty() && !distribution->version.empty() &&
        catalog::BaseId::parse(claimed))
      return claimed;
  }
  return name + ":" + version;
}

Value proposal_value(const Proposal& proposal, std::size_t number) {
  Array layers;
  for (const Layer& layer : proposal.layers)
    layers.push_back(Object{{"shape", layer.shape},
                            {"content", layer.content},
                            {"deletions", layer.deletions},
                            {"exact_diff_id", layer.exact_diff_id},
                            {"claimed_diff_id", layer.claimed_diff_id},
                            {"entries", layer.entries},
                            {"content_bytes", layer.content_bytes}});
  Array images;
  for (const std::string& image : proposal.example_images)
    images.emplace_back(image);
  Object object{{"number", std::uint64_t{number}},
                {"id", proposal.id},
                {"short_id", proposal.id.substr(0, kShortId)},
                {"suggested_name", suggested_name(proposal)},
                {"running", proposal.running},
                {"nodes", proposal.nodes},
                {"images", proposal.images},
                {"example_images", std::move(images)},
                {"layer_count", std::uint64_t{proposal.layers.size()}},
                {"below", proposal.below.substr(0, kShortId)},
                {"is_whole_image", proposal.is_whole},
                {"layers", std::move(layers)}};
  add_about(object, proposal.about);
  return object;
}

Document shown(const Discovery& found) {
  Array proposals;
  for (std::size_t i = 0; i < found.proposals.size(); ++i)
    proposals.push_back(proposal_value(found.proposals[i], i + 1));
  return {Object{{"running", found.running},
                 {"not_read", found.not_read},
                 {"proposals", std::move(proposals)}},
          {{.path = "proposals",
            .columns = {{"#", "number"},
                        {"ID", "short_id"},
                        {"CONTAINERS", "running"},
                        {"NODES", "nodes"},
                        {"IMAGES", "images"},
                        {"LAYERS", "layer_count"},
                        {"ON TOP OF", "below"},
                        {"DISTRIBUTION (CLAIMED)", "claimed_distribution.name"},
                        {"SUGGESTED NAME", "suggested_name"},
                        {"EXAMPLES", "example_images"},
                        {"WHOLE IMAGE", "is_whole_image", Style::kPlain, true}}}}};
}

std::string note_of(const Discovery& found) {
  if (found.running == 0) return "Everything that runs stands on a base of the catalog.";
  std::string note = "Running containers on no base: " + std::to_string(found.running);
  if (found.not_read != 0)
    note += "; the layers of " + std::to_string(found.not_read) + " are not read yet";
  return note +
         ".\nMake drafts of a choice with --draft NAME[:VERSION]=ID; a draft changes no "
         "verdict until it is approved.";
}

Result<const Proposal*> proposal_of(const Discovery& found, const std::string& word) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  const bool is_number = error == std::errc() && end == word.data() + word.size();
  if (is_number && word.size() < kMinIdDigits && number >= 1 && number <= found.proposals.size())
    return &found.proposals[number - 1];
  const Proposal* meant = nullptr;
  for (const Proposal& proposal : found.proposals) {
    if (word.size() < kMinIdDigits || !proposal.id.starts_with(word)) continue;
    if (meant != nullptr)
      return Error{ErrorCode::kInvalidArgument, "--draft: several ids begin with " + word};
    meant = &proposal;
  }
  if (meant != nullptr) return meant;
  return Error{ErrorCode::kNotFound, "--draft: no proposal is called \"" + word +
                                         "\": take a number or id of assay base discover"};
}

Result<std::vector<Choice>> choices_of(const Options& options, const Discovery& found) {
  std::vector<Choice> choices;
  std::set<catalog::BaseId> named;
  for (const std::string& text : options.drafts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      return Error{ErrorCode::kInvalidArgument,
                   "--draft: \"" + text + "\" is not NAME[:VERSION]=ID"};
    Choice choice;
    ASSAY_ASSIGN(choice.base, catalog::BaseId::parse(text.substr(0, equals)));
    ASSAY_ASSIGN(choice.proposal, proposal_of(found, text.substr(equals + 1)));
    if (choice.base.version.empty()) choice.base.version = choice.proposal->id.substr(0, kShortId);
    if (!named.insert(choice.base).second)
      return Error{ErrorCode::kInvalidArgument, "--draft: " + choice.base.text() + " twice"};
    choices.push_back(std::move(choice));
  }
  return choices;
}

/// Only what the bytes showed: what a node's stores claim does not enter a catalog.
Result<catalog::BaseStack> stack_of(const Proposal& proposal) {
  catalog::BaseStack stack;
  for (const Layer& layer : proposal.layers) {
    if (!layer.shape || !layer.content)
      return Error{ErrorCode::kCorrupt, "the collector proposed a layer without its content"};
    stack.layers.push_back({layer.exact_diff_id, *layer.shape, *layer.content, layer.deletions,
                            layer.entries, layer.content_bytes});
  }
  if (stack.layers.empty())
    return Error{ErrorCode::kCorrupt, "the collector proposed a base without layers"};
  return stack;
}

/// One statement for each: the log is fetched again, since each changes its end.
Result<Value> draft(const Options& options, const Choice& choice, Session& session) {
  ASSAY_ASSIGN(const TrustedLog trusted, fetch_trusted_log(session));
  catalog::Statement statement =
      new_statement(trusted, options.change, choice.base, catalog::Action::kDraft, session.now());
  ASSAY_ASSIGN(catalog::BaseStack stack, stack_of(*choice.proposal));
  statement.stacks.push_back(std::move(stack));
  statement.annotations = annotations_of(choice.proposal->about);
  statement.annotations["assay.source-kind"] = "discovered";
  ASSAY_ASSIGN(Change change, apply_change(trusted, statement, options.change, session));
  change.value.emplace_back("id", choice.proposal->id);
  change.value.emplace_back("running", choice.proposal->running);
  return Value(std::move(change.value));
}

Result<Outcome> make_drafts(const Options& options, const Discovery& found, Session& session) {
  ASSAY_TRY(signing_key(options.change, session));
  ASSAY_ASSIGN(const std::vector<Choice> choices, choices_of(options, found));
  if (!options.change.is_confirmed && !options.change.is_dry_run) {
    for (const Choice& choice : choices)
      session.terminal().note(
          choice.base.text() + ": layers: " + std::to_string(choice.proposal->layers.size()) +
          ", running containers on them: " + std::to_string(choice.proposal->running));
    ASSAY_ASSIGN(const bool is_agreed, session.terminal().confirm("Sign these as drafts?"));
    if (!is_agreed)
      return Outcome{.exit_code = ExitCode::kNegative, .note = "Nothing was changed."};
  }
  Array drafts;
  for (const Choice& choice : choices) {
    ASSAY_ASSIGN(Value made, draft(options, choice, session));
    drafts.push_back(std::move(made));
  }
  return Outcome{.document = {Object{{"drafts", std::move(drafts)}},
                              {{.path = "drafts",
                                .columns = {{"BASE", "base"},
                                            {"CONTAINERS", "running"},
                                            {"CATALOG SEQUENCE", "sequence"},
                                            {"SIGNED BY", "key_id"},
                                            {"DRY RUN", "is_dry_run"}}}}},
                 .note = options.change.is_dry_run
                             ? "Dry run: nothing was changed."
                             : "Drafts judge nothing yet; assay base approve NAME:VERSION does, "
                               "best with --from and the image that it was made of."};
}

Result<Outcome> discover(const Options& options, Session& session) {
  ASSAY_ASSIGN(Client * client, session.client());
  ASSAY_ASSIGN(const Discovery found, client->discover(options.max_proposals));
  if (!options.drafts.empty()) return make_drafts(options, found, session);
  return Outcome{.document = shown(found), .note = note_of(found)};
}

}  // namespace

void add_base_discover(CLI::App& base, Invocation& invocation) {
  // Shared by the parser, which fills it, and the command, which runs after.
  const auto options = std::make_shared<Options>();
  CLI::App& command = add_command(
      base, "discover", "Propose bases for what runs and stands on none, and draft a choice",
      invocation, [options](Session& session) { return discover(*options, session); });
  command.add_option("--draft", options->drafts, "make this proposal a draft; repeat it for more")
      ->option_text("NAME[:VERSION]=ID");
  command.add_option("--limit", options->max_proposals, "proposals at most (default: 50)")
      ->option_text("N");
  add_signing_options(command, options->change);
}

}  // namespace assay::cli
