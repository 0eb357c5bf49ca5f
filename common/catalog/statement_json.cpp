// SPDX-License-Identifier: Apache-2.0
// Statements and heads as in-toto Statement v1 JSON (docs/formats/catalog.md), both ways.
#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/catalog/file_set.h"
#include "common/catalog/json_reader.h"
#include "common/catalog/log.h"
#include "common/catalog/names.h"
#include "common/catalog/policy_json.h"
#include "common/catalog/svr.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
constexpr std::string_view kStatementPredicate = "urn:assay:catalog:statement:v1";
constexpr std::string_view kHeadPredicate = "urn:assay:catalog:head:v1";
constexpr std::string_view kMarkPredicate = "urn:assay:catalog:mark:v1";
constexpr std::size_t kMaxPayloadBytes = 16 << 20;

constexpr Names<Action, 5> kActions{{{Action::kApprove, "approve"},
                                     {Action::kDeprecate, "deprecate"},
                                     {Action::kRevoke, "revoke"},
                                     {Action::kSetPolicy, "set-policy"},
                                     {Action::kDraft, "draft"}}};

template <typename Tag>
std::string_view raw_or_empty(const std::optional<Digest<Tag>>& digest) {
  return digest ? digest->raw() : std::string_view();
}

void append_root(std::string& fields, const std::optional<BaseRoot>& root) {
  append_field(fields, root ? root->shape.raw() : std::string_view());
  append_field(fields, root ? root->content.raw() : std::string_view());
  append_field(fields, root ? root->entries : 0);
  append_field(fields, root ? root->content_bytes : 0);
}

void append_deviceless(std::string& fields, const std::optional<BaseDeviceless>& deviceless) {
  append_field(fields, deviceless ? deviceless->shape.raw() : std::string_view());
  append_field(fields, deviceless ? deviceless->content.raw() : std::string_view());
}

void append_file_set(std::string& fields, const std::optional<FileSetReference>& file_set) {
  append_field(fields, file_set ? file_set->digest.raw() : std::string_view());
  append_field(fields, file_set ? file_set->files : 0);
}

/// The lowest version of the subject that covers everything that the stack says.
int subject_version(const BaseStack& stack) {
  if (stack.file_set) return 3;
  const auto is_deviceless = [](const BaseLayer& layer) { return layer.deviceless.has_value(); };
  const bool has_other_forms =
      stack.root || std::any_of(stack.layers.begin(), stack.layers.end(), is_deviceless);
  return has_other_forms ? 2 : 1;
}

std::string stacks_fields(const std::vector<BaseStack>& stacks) {
  int version = 1;
  for (const BaseStack& stack : stacks)
    version = std::max(version, subject_version(stack));
  std::string fields;
  append_field(fields, std::string_view("assay-base-stacks"));
  append_field(fields, std::to_string(version));
  append_field(fields, std::uint64_t{stacks.size()});
  for (const BaseStack& stack : stacks) {
    append_field(fields, stack.platform);
    append_field(fields, stack.manifest_digest);
    append_field(fields, std::uint64_t{stack.layers.size()});
    for (const BaseLayer& layer : stack.layers) {
      append_field(fields, raw_or_empty(layer.diff_id));
      append_field(fields, layer.shape.raw());
      append_field(fields, layer.content.raw());
      append_field(fields, raw_or_empty(layer.deletions));
      append_field(fields, layer.entries);
      append_field(fields, layer.content_bytes);
      if (version >= 2) append_deviceless(fields, layer.deviceless);
    }
    if (version >= 2) append_root(fields, stack.root);
    if (version >= 3) append_file_set(fields, stack.file_set);
  }
  return fields;
}

/// What the statement is about, as one digest: in-toto wants a subject.
Sha256 subject_digest(const Statement& statement) {
  if (statement.action == Action::kApprove || statement.action == Action::kDraft)
    return sha256(stacks_fields(statement.stacks));
  if (statement.policy) return sha256(policy_fields(*statement.policy));
  std::string fields;
  append_field(fields, std::string_view("assay-base-name"));
  append_field(fields, std::string_view("1"));
  append_field(fields, statement.base.text());
  return sha256(fields);
}

std::string subject_name(const Statement& statement) {
  return statement.action == Action::kSetPolicy ? "policy" : statement.base.text();
}

json subject_json(const std::string& name, const Sha256& digest) {
  return {{"name", name}, {"digest", {{"sha256", digest.hex()}}}};
}

/// What the statement is about; of an approval also the manifests, for tools that know images by
/// them.
json subjects_json(const Statement& statement) {
  json subjects = json::array({subject_json(subject_name(statement), subject_digest(statement))});
  for (const BaseStack& stack : statement.stacks) {
    const auto manifest = Sha256::parse(stack.manifest_digest);
    if (!manifest) continue;
    json subject = subject_json("manifest", *manifest);
    if (std::find(subjects.begin(), subjects.end(), subject) == subjects.end())
      subjects.push_back(std::move(subject));
  }
  return subjects;
}

std::string in_toto(json subjects, std::string_view predicate_type, json predicate) {
  const json object = {{"_type", kStatementType},
                       {"subject", std::move(subjects)},
                       {"predicateType", predicate_type},
                       {"predicate", std::move(predicate)}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

json layer_json(const BaseLayer& layer) {
  json object = {{"shape", layer.shape.text()},
                 {"content", layer.content.text()},
                 {"entries", layer.entries},
                 {"content_bytes", layer.content_bytes}};
  if (layer.diff_id) object["diff_id"] = layer.diff_id->text();
  if (layer.deletions) object["deletions"] = layer.deletions->text();
  if (layer.deviceless)
    object["deviceless"] = {{"shape", layer.deviceless->shape.text()},
                            {"content", layer.deviceless->content.text()}};
  return object;
}

json stack_json(const BaseStack& stack) {
  json layers = json::array();
  for (const BaseLayer& layer : stack.layers)
    layers.push_back(layer_json(layer));
  json object = {{"layers", std::move(layers)}};
  if (!stack.platform.empty()) object["platform"] = stack.platform;
  if (!stack.manifest_digest.empty()) object["manifest_digest"] = stack.manifest_digest;
  if (stack.root)
    object["root"] = {{"shape", stack.root->shape.text()},
                      {"content", stack.root->content.text()},
                      {"entries", stack.root->entries},
                      {"content_bytes", stack.root->content_bytes}};
  if (stack.file_set)
    object["file_set"] = {{"digest", stack.file_set->digest.text()},
                          {"files", stack.file_set->files}};
  return object;
}

json predicate_json(const Statement& statement) {
  json object = {{"catalog_id", statement.catalog_id},
                 {"sequence", statement.sequence},
                 {"previous", statement.previous.text()},
                 {"issued_at", to_rfc3339(statement.issued_at, 9)},
                 {"action", to_string(statement.action)}};
  if (statement.action != Action::kSetPolicy) object["base"] = statement.base.text();
  for (const BaseStack& stack : statement.stacks)
    object["stacks"].push_back(stack_json(stack));
  if (!statement.reason.empty()) object["reason"] = statement.reason;
  if (statement.deprecated_until)
    object["deprecated_until"] = to_rfc3339(*statement.deprecated_until, 9);
  if (statement.expires_at) object["expires_at"] = to_rfc3339(*statement.expires_at, 9);
  if (!statement.successor.empty()) object["successor"] = statement.successor;
  if (!statement.annotations.empty()) object["annotations"] = statement.annotations;
  if (statement.policy) object["policy"] = policy_json(*statement.policy);
  return object;
}

BaseDeviceless read_deviceless(const json& object, const std::string& where,
                               std::optional<Error>& fault) {
  JsonReader reader(object, where, fault);
  BaseDeviceless deviceless;
  deviceless.shape = reader.digest<ShapeDigest>("shape", true).value_or(ShapeDigest{});
  deviceless.content = reader.digest<ContentDigest>("content", true).value_or(ContentDigest{});
  reader.expect_no_more();
  return deviceless;
}

BaseLayer read_layer(const json& object, const std::string& where, std::optional<Error>& fault) {
  JsonReader reader(object, where, fault);
  BaseLayer layer;
  layer.diff_id = reader.digest<DiffId>("diff_id", false);
  layer.shape = reader.digest<ShapeDigest>("shape", true).value_or(ShapeDigest{});
  layer.content = reader.digest<ContentDigest>("content", true).value_or(ContentDigest{});
  layer.deletions = reader.digest<DeletionsDigest>("deletions", false);
  layer.entries = reader.number("entries", true);
  layer.content_bytes = reader.number("content_bytes", true);
  if (const json* deviceless = reader.member("deviceless", false))
    layer.deviceless = read_deviceless(*deviceless, where + ".deviceless", fault);
  reader.expect_no_more();
  return layer;
}

BaseRoot read_root(const json& object, const std::string& where, std::optional<Error>& fault) {
  JsonReader reader(object, where, fault);
  BaseRoot root;
  root.shape = reader.digest<ShapeDigest>("shape", true).value_or(ShapeDigest{});
  root.content = reader.digest<ContentDigest>("content", true).value_or(ContentDigest{});
  root.entries = reader.number("entries", true);
  root.content_bytes = reader.number("content_bytes", true);
  reader.expect_no_more();
  return root;
}

FileSetReference read_file_set(const json& object, const std::string& where,
                               std::optional<Error>& fault) {
  JsonReader reader(object, where, fault);
  FileSetReference file_set;
  file_set.digest = reader.digest<FileSetDigest>("digest", true).value_or(FileSetDigest{});
  file_set.files = reader.number("files", true, kMaxFileSetEntries);
  reader.expect_no_more();
  return file_set;
}

BaseStack read_stack(const json& object, const std::string& where, std::optional<Error>& fault) {
  JsonReader reader(object, where, fault);
  BaseStack stack;
  stack.platform = reader.text("platform", false, 255);
  stack.manifest_digest = reader.text("manifest_digest", false, 71);
  if (!stack.manifest_digest.empty() && !Sha256::parse(stack.manifest_digest))
    reader.fail("manifest_digest", "is not a SHA-256 digest");
  for (const json& layer : reader.array("layers", true, kMaxLayers)) {
    const std::string name = where + ".layers[" + std::to_string(stack.layers.size()) + "]";
    stack.layers.push_back(read_layer(layer, name, fault));
  }
  if (stack.layers.empty()) reader.fail("layers", "is empty");
  if (const json* root = reader.member("root", false))
    stack.root = read_root(*root, where + ".root", fault);
  if (const json* file_set = reader.member("file_set", false))
    stack.file_set = read_file_set(*file_set, where + ".file_set", fault);
  reader.expect_no_more();
  return stack;
}

void read_annotations(JsonReader& reader, Statement& statement) {
  const json* object = reader.member("annotations", false);
  if (object == nullptr) return;
  if (!object->is_object()) return reader.fail("annotations", "is not an object");
  if (object->size() > kMaxAnnotations)
    return reader.fail("annotations", "has more than 64 members", ErrorCode::kLimitExceeded);
  for (const auto& item : object->items()) {
    if (!item.value().is_string()) return reader.fail("annotations", "holds something but text");
    const auto& value = item.value().get_ref<const std::string&>();
    if (item.key().size() > kMaxTextBytes || value.size() > kMaxTextBytes)
      return reader.fail("annotations", "holds an over-long text", ErrorCode::kLimitExceeded);
    statement.annotations.emplace(item.key(), value);
  }
}

void read_base_id(JsonReader& reader, const char* name, BaseId& id) {
  const std::string spelled = reader.text(name, true, 255);
  if (!reader.is_good()) return;
  auto parsed = BaseId::parse(spelled);
  if (!parsed || parsed->version.empty())
    reader.fail(name, "is not a base's NAME:VERSION");
  else
    id = std::move(*parsed);
}

bool is_catalog_id(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void read_place(JsonReader& reader, std::string& catalog_id, std::uint64_t& sequence) {
  catalog_id = reader.text("catalog_id", true, 32);
  if (!is_catalog_id(catalog_id)) reader.fail("catalog_id", "is not 32 hex digits");
  sequence = reader.number("sequence", true);
  if (sequence == 0) reader.fail("sequence", "begins at 1");
}

/// The members that go with the action, and only those.
void read_action_members(JsonReader& reader, Statement& statement, std::optional<Error>& fault) {
  if (statement.action == Action::kSetPolicy) {
    if (const json* policy = reader.member("policy", true))
      statement.policy = read_policy(*policy, fault);
    return;
  }
  read_base_id(reader, "base", statement.base);
  statement.successor = reader.text("successor", false, 255);
  if (!statement.successor.empty() && !BaseId::parse(statement.successor))
    reader.fail("successor", "is not a base's name");
  if (statement.action == Action::kDeprecate)
    statement.deprecated_until = reader.time("deprecated_until", false);
  if (statement.action != Action::kApprove && statement.action != Action::kDraft) return;
  if (statement.action == Action::kApprove) statement.expires_at = reader.time("expires_at", false);
  for (const json& stack : reader.array("stacks", true, kMaxStacks)) {
    const std::string where = "stacks[" + std::to_string(statement.stacks.size()) + "]";
    statement.stacks.push_back(read_stack(stack, where, fault));
  }
  if (statement.stacks.empty()) reader.fail("stacks", "is empty");
}

Statement read_statement(const json& predicate, std::optional<Error>& fault) {
  JsonReader reader(predicate, "predicate", fault);
  Statement statement;
  read_place(reader, statement.catalog_id, statement.sequence);
  statement.previous = reader.digest<Sha256>("previous", true).value_or(Sha256{});
  statement.issued_at = reader.time("issued_at", true).value_or(WallTime{});
  const auto action = value_of(kActions, reader.text("action", true, 32), "action");
  if (!action) {
    reader.fail("action", "is not one that this version knows");
    return statement;
  }
  statement.action = *action;
  statement.reason = reader.text("reason", false, kMaxTextBytes);
  read_annotations(reader, statement);
  read_action_members(reader, statement, fault);
  reader.expect_no_more();
  return statement;
}

Head read_head(const json& predicate, std::optional<Error>& fault) {
  JsonReader reader(predicate, "predicate", fault);
  Head head;
  read_place(reader, head.catalog_id, head.sequence);
  head.last = reader.digest<Sha256>("last", true).value_or(Sha256{});
  head.issued_at = reader.time("issued_at", true).value_or(WallTime{});
  head.expires_at = reader.time("expires_at", true).value_or(WallTime{});
  reader.expect_no_more();
  return head;
}

void check_subject(const json& object, const json& expected, std::optional<Error>& fault) {
  const auto found = object.find("subject");
  if (!fault && (found == object.end() || *found != expected))
    fault = Error{ErrorCode::kCorrupt, "the subject is not what the predicate speaks of"};
}

/// Parses, checks the outer members and hands all to `read`. One place for exceptions. An approval
/// has another predicate type than all else: `approval_type`, "" where there is none.
template <typename T, typename Read>
Result<T> read_in_toto(std::string_view text, std::string_view predicate_type,
                       std::string_view approval_type, Read read) {
  if (text.size() > kMaxPayloadBytes)
    return Error{ErrorCode::kLimitExceeded, "a statement is larger than 16 MiB"};
  try {
    const json object = json::parse(text.begin(), text.end());
    std::optional<Error> fault;
    JsonReader reader(object, "statement", fault);
    if (reader.text("_type", true, 255) != kStatementType)
      reader.fail("_type", "is not in-toto Statement v1");
    const std::string type = reader.text("predicateType", true, 255);
    if (type != predicate_type && (approval_type.empty() || type != approval_type))
      reader.fail("predicateType", "is not " + std::string(predicate_type),
                  ErrorCode::kUnsupported);
    const json* predicate = reader.member("predicate", true);
    if (fault) return std::move(*fault);
    T value = read(object, *predicate, fault);
    if (fault) return std::move(*fault);
    return value;
  } catch (const json::exception& error) {
    return Error{ErrorCode::kCorrupt, "not JSON: " + escape_untrusted(error.what(), 200)};
  }
}

/// Head and mark say the same of the log; who signs them, and for how long, differs.
std::string place_in_toto(const Head& head, std::string_view predicate_type) {
  return in_toto(json::array({subject_json(head.catalog_id, head.last)}), predicate_type,
                 {{"catalog_id", head.catalog_id},
                  {"sequence", head.sequence},
                  {"last", head.last.text()},
                  {"issued_at", to_rfc3339(head.issued_at, 9)},
                  {"expires_at", to_rfc3339(head.expires_at, 9)}});
}

Result<Head> place_from_in_toto(std::string_view text, std::string_view predicate_type) {
  return read_in_toto<Head>(
      text, predicate_type, "",
      [](const json& object, const json& predicate, std::optional<Error>& fault) {
        Head head = read_head(predicate, fault);
        check_subject(object, json::array({subject_json(head.catalog_id, head.last)}), fault);
        return head;
      });
}

}  // namespace

std::string_view to_string(Action action) {
  return name_of(kActions, action);
}

std::string to_in_toto(const Statement& statement) {
  json predicate = predicate_json(statement);
  if (statement.action != Action::kApprove)
    return in_toto(subjects_json(statement), kStatementPredicate, std::move(predicate));
  return in_toto(subjects_json(statement), kSvrPredicate,
                 svr_predicate(statement, kStatementPredicate, std::move(predicate)));
}

std::string to_in_toto(const Head& head) {
  return place_in_toto(head, kHeadPredicate);
}

std::string mark_to_in_toto(const Head& mark) {
  return place_in_toto(mark, kMarkPredicate);
}

Result<Statement> statement_from_in_toto(std::string_view text) {
  return read_in_toto<Statement>(
      text, kStatementPredicate, kSvrPredicate,
      [](const json& object, const json& predicate, std::optional<Error>& fault) {
        const bool is_svr = object.at("predicateType") == kSvrPredicate;
        JsonReader outer(predicate, "predicate", fault);
        const json* own = &predicate;
        if (is_svr) own = outer.member(std::string(kStatementPredicate).c_str(), true);
        if (own == nullptr) return Statement{};
        Statement statement = read_statement(*own, fault);
        if (is_svr) check_svr(predicate, statement, kStatementPredicate, fault);
        if (is_svr != (statement.action == Action::kApprove))
          outer.fail("action", "does not go with the predicate type");
        if (!fault) check_subject(object, subjects_json(statement), fault);
        return statement;
      });
}

Result<Head> head_from_in_toto(std::string_view text) {
  return place_from_in_toto(text, kHeadPredicate);
}

Result<Head> mark_from_in_toto(std::string_view text) {
  return place_from_in_toto(text, kMarkPredicate);
}

}  // namespace assay::catalog
