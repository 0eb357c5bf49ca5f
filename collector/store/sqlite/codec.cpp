// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/codec.h"

#include <nlohmann/json.hpp>

namespace assay::collector {
namespace {

using nlohmann::json;

/// What is not UTF-8 becomes U+FFFD: a column never fails because of a container's text.
std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <typename T>
Result<T> decode(const std::string& text) {
  try {
    return json::parse(text).get<T>();
  } catch (const json::exception&) {
    return Error{ErrorCode::kCorrupt, "a column does not hold the JSON it should"};
  }
}

}  // namespace

// nlohmann finds these by argument-dependent lookup.
static void to_json(json& out, const Process& process) {
  out = json{{"pid", process.pid}, {"start_ns", process.start_ns}, {"name", process.name}};
}

static void from_json(const json& in, Process& process) {
  in.at("pid").get_to(process.pid);
  in.at("start_ns").get_to(process.start_ns);
  in.at("name").get_to(process.name);
}

static void to_json(json& out, const Degradation& degradation) {
  out = json{{"mode", degradation.mode}, {"reason", degradation.reason}};
}

static void from_json(const json& in, Degradation& degradation) {
  in.at("mode").get_to(degradation.mode);
  in.at("reason").get_to(degradation.reason);
}

static json to_object(const catalog::ContainedBase& base) {
  return {{"name", base.base.name},
          {"version", base.base.version},
          {"platform", base.platform},
          {"files", base.files},
          {"present", base.present},
          {"changed", base.changed},
          {"missing", base.missing},
          {"share_permille", base.share_permille},
          {"rival", base.rival},
          {"own_files", base.own_files},
          {"own_present", base.own_present},
          {"is_contained", base.is_contained},
          {"why", base.why}};
}

static catalog::ContainedBase contained_base(const json& in) {
  catalog::ContainedBase base;
  in.at("name").get_to(base.base.name);
  in.at("version").get_to(base.base.version);
  in.at("platform").get_to(base.platform);
  in.at("files").get_to(base.files);
  in.at("present").get_to(base.present);
  in.at("changed").get_to(base.changed);
  in.at("missing").get_to(base.missing);
  in.at("share_permille").get_to(base.share_permille);
  in.at("rival").get_to(base.rival);
  in.at("own_files").get_to(base.own_files);
  in.at("own_present").get_to(base.own_present);
  in.at("is_contained").get_to(base.is_contained);
  in.at("why").get_to(base.why);
  return base;
}

std::string encode(const catalog::Containment& found) {
  json contained = json::array();
  for (const catalog::ContainedBase& base : found.contained)
    contained.push_back(to_object(base));
  json object = {{"files", found.files}, {"contained", contained}, {"why", found.why}};
  if (found.runner_up) object["runner_up"] = to_object(*found.runner_up);
  return dump(object);
}

Result<catalog::Containment> decode_containment(const std::string& text) {
  ASSAY_ASSIGN(const json object, decode<json>(text));
  try {
    catalog::Containment found;
    object.at("files").get_to(found.files);
    object.at("why").get_to(found.why);
    for (const json& base : object.at("contained"))
      found.contained.push_back(contained_base(base));
    if (object.contains("runner_up")) found.runner_up = contained_base(object.at("runner_up"));
    return found;
  } catch (const json::exception&) {
    return Error{ErrorCode::kCorrupt, "a column does not hold the JSON it should"};
  }
}

std::string encode(const catalog::Login& login) {
  if (login == catalog::Login{}) return "";
  return dump({{"session", login.session},
               {"terminal", login.terminal},
               {"login_uid", login.login_uid},
               {"login_session", login.login_session},
               {"starter_uid", login.starter_uid},
               {"told_by", login.told_by}});
}

std::string encode(const catalog::Posture& posture) {
  if (!posture.is_known) return "";
  return dump({{"capabilities", posture.capabilities},
               {"seccomp", posture.seccomp},
               {"lsm_label", posture.lsm_label}});
}

Result<catalog::Posture> decode_posture(const std::string& text, std::int64_t traits) {
  catalog::Posture posture;
  if (text.empty()) return posture;
  try {
    const auto object = nlohmann::json::parse(text);
    posture.is_known = true;
    posture.traits = static_cast<std::uint32_t>(traits);
    object.at("capabilities").get_to(posture.capabilities);
    object.at("seccomp").get_to(posture.seccomp);
    object.at("lsm_label").get_to(posture.lsm_label);
    return posture;
  } catch (const nlohmann::json::exception& error) {
    return Error{ErrorCode::kCorrupt, std::string("a run's posture: ") + error.what()};
  }
}

Result<catalog::Login> decode_login(const std::string& text) {
  if (text.empty()) return catalog::Login{};
  ASSAY_ASSIGN(const json object, decode<json>(text));
  try {
    catalog::Login login;
    object.at("session").get_to(login.session);
    object.at("terminal").get_to(login.terminal);
    object.at("login_uid").get_to(login.login_uid);
    object.at("login_session").get_to(login.login_session);
    object.at("starter_uid").get_to(login.starter_uid);
    object.at("told_by").get_to(login.told_by);
    return login;
  } catch (const json::exception&) {
    return Error{ErrorCode::kCorrupt, "a column does not hold the JSON it should"};
  }
}

std::string encode(const catalog::View& view) {
  return dump({{"state", to_string(view.state)},
               {"reason", view.reason},
               {"layers", view.layers},
               {"paths", view.paths},
               {"masked", view.masked},
               {"by_image", view.by_image},
               {"covered", view.covered},
               {"replaced", view.replaced},
               {"masked_paths", view.masked_paths},
               {"covered_paths", view.covered_paths},
               {"checked_ns", to_unix_ns(view.checked)}});
}

Result<catalog::View> decode_view(const std::string& text) {
  if (text.empty()) return catalog::View{};
  ASSAY_ASSIGN(const json object, decode<json>(text));
  try {
    catalog::View view;
    ASSAY_ASSIGN(view.state, catalog::parse_view_state(object.at("state").get<std::string>()));
    object.at("reason").get_to(view.reason);
    object.at("layers").get_to(view.layers);
    object.at("paths").get_to(view.paths);
    object.at("masked").get_to(view.masked);
    object.at("by_image").get_to(view.by_image);
    object.at("covered").get_to(view.covered);
    object.at("replaced").get_to(view.replaced);
    object.at("masked_paths").get_to(view.masked_paths);
    object.at("covered_paths").get_to(view.covered_paths);
    view.checked = from_unix_ns(object.at("checked_ns").get<std::int64_t>());
    return view;
  } catch (const json::exception&) {
    return Error{ErrorCode::kCorrupt, "a column does not hold the JSON it should"};
  }
}

std::string encode(const std::vector<std::string>& texts) {
  return dump(json(texts));
}

std::string encode(const std::vector<std::uint32_t>& numbers) {
  return dump(json(numbers));
}

std::string encode(const std::map<std::string, std::string>& texts) {
  return dump(json(texts));
}

std::string encode(const std::vector<Process>& processes) {
  return dump(json(processes));
}

std::string encode(const std::vector<Degradation>& degraded) {
  return dump(json(degraded));
}

Result<std::vector<std::string>> decode_texts(const std::string& json) {
  return decode<std::vector<std::string>>(json);
}

Result<std::vector<std::uint32_t>> decode_numbers(const std::string& json) {
  return decode<std::vector<std::uint32_t>>(json);
}

Result<std::map<std::string, std::string>> decode_map(const std::string& json) {
  return decode<std::map<std::string, std::string>>(json);
}

Result<std::vector<Process>> decode_processes(const std::string& json) {
  return decode<std::vector<Process>>(json);
}

Result<std::vector<Degradation>> decode_degraded(const std::string& json) {
  return decode<std::vector<Degradation>>(json);
}

}  // namespace assay::collector
