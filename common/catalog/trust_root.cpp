// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/catalog/root.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTrustBytes = 1 << 20;
constexpr std::string_view kPemBegin = "-----BEGIN ";
constexpr std::string_view kPemEnd = "-----END PUBLIC KEY-----";

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, "trust file: " + std::move(message)};
}

Result<void> add_key(TrustRoot& trust, std::string_view pem) {
  auto key = PublicKey::from_pem(pem);
  const std::string number = "key " + std::to_string(trust.keys.size() + 1);
  if (!key) return std::move(key.error()).with_context("trust file: " + number);
  if (trust.keys.size() >= kMaxKeys) return invalid("more than 64 keys");
  for (const PublicKey& known : trust.keys)
    if (known.key_id() == key->key_id()) return invalid(number + " is there twice");
  trust.keys.push_back(std::move(*key));
  return ok();
}

Result<TrustRoot> read_pem(std::string_view text) {
  TrustRoot trust;
  for (std::size_t begin = text.find(kPemBegin); begin != std::string_view::npos;
       begin = text.find(kPemBegin)) {
    const std::size_t end = text.find(kPemEnd, begin);
    if (end == std::string_view::npos) return invalid("a PEM block is not a whole \"PUBLIC KEY\"");
    const std::size_t after = end + kPemEnd.size();
    ASSAY_TRY(add_key(trust, text.substr(begin, after - begin)));
    text.remove_prefix(after);
  }
  return trust;
}

Result<TrustRoot> read_json(const json& object) {
  TrustRoot trust;
  const auto keys = object.find("keys");
  const auto threshold = object.find("threshold");
  if (keys == object.end() || !keys->is_array()) return invalid("\"keys\" is missing");
  for (const json& key : *keys) {
    if (!key.is_string()) return invalid("a key must be PEM text");
    ASSAY_TRY(add_key(trust, key.get_ref<const std::string&>()));
  }
  if (threshold == object.end()) return trust;
  if (!threshold->is_number_unsigned() || threshold->get<std::uint64_t>() > kMaxKeys)
    return invalid("\"threshold\" is not a number of keys");
  trust.threshold = threshold->get<std::uint32_t>();
  return trust;
}

Result<TrustRoot> read_roots(std::string_view text) {
  auto file = RootFile::from_json(text);
  if (!file) return std::move(file.error()).with_context("trust file");
  auto trust = extend_trust(TrustRoot{}, file->envelopes);
  if (!trust) return std::move(trust.error()).with_context("trust file");
  return trust;
}

Result<TrustRoot> read_any(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return read_pem(text);
  try {
    const json object = json::parse(text.begin(), text.end());
    return object.contains("roots") ? read_roots(text) : read_json(object);
  } catch (const json::exception&) {
    return invalid("not JSON, though it begins with \"{\"");
  }
}

}  // namespace

Result<TrustRoot> TrustRoot::parse(std::string_view text) {
  if (text.size() > kMaxTrustBytes) return invalid("larger than 1 MiB");
  ASSAY_ASSIGN(TrustRoot trust, read_any(text));
  if (trust.keys.empty()) return invalid("no PEM block \"PUBLIC KEY\" in it");
  if (trust.threshold == 0) return invalid("the threshold must be at least 1");
  if (trust.threshold > trust.keys.size())
    return invalid("the threshold is " + std::to_string(trust.threshold) + ", but there are only " +
                   std::to_string(trust.keys.size()) + " keys");
  return trust;
}

}  // namespace assay::catalog
