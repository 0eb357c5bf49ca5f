// SPDX-License-Identifier: Apache-2.0
#include "collector/app/stream_census.h"

#include <grpc/grpc.h>
#include <grpc/support/alloc.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace assay::collector {
namespace {

using nlohmann::json;

constexpr std::intptr_t kPage = 500;

/// Takes what channelz gave; nothing is discarded JSON.
json take(char* text) {
  if (text == nullptr) return {};
  json parsed = json::parse(text, nullptr, false);
  ::gpr_free(text);
  return parsed;
}

/// channelz writes 64 bits as text, and leaves zeros out.
std::int64_t number(const json& object, const char* key) {
  std::int64_t value = 0;
  if (!object.is_object()) return value;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return value;
  const auto& text = found->get_ref<const std::string&>();
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

const json& member(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(key);
  return found == object.end() ? nothing : *found;
}

}  // namespace

std::uint64_t StreamCensus::held(const PeerAddress& peer) {
  if (!sockets_.contains(peer)) list_new();
  const auto found = sockets_.find(peer);
  if (found == sockets_.end()) return 0;
  const json socket = take(::grpc_channelz_get_socket(found->second));
  const json& data = member(socket.is_object() ? member(socket, "socket") : socket, "data");
  const std::int64_t held = number(data, "streamsStarted") - number(data, "streamsSucceeded") -
                            number(data, "streamsFailed");
  return held > 0 ? static_cast<std::uint64_t>(held) : 0;
}

void StreamCensus::list_new() {
  const json servers = take(::grpc_channelz_get_servers(0));
  for (const json& server : member(servers, "server"))
    list_new_of(static_cast<std::intptr_t>(number(member(server, "ref"), "serverId")));
}

void StreamCensus::list_new_of(std::intptr_t server) {
  std::intptr_t from = next_;
  for (;;) {
    const json page = take(::grpc_channelz_get_server_sockets(server, from, kPage));
    for (const json& socket : member(page, "socketRef")) {
      const auto id = static_cast<std::intptr_t>(number(socket, "socketId"));
      from = std::max(from, id + 1);
      const json& name = member(socket, "name");  // "chttp2 ipv4:192.0.2.7:50000"
      if (!name.is_string()) continue;
      const auto& text = name.get_ref<const std::string&>();
      if (const auto peer = PeerAddress::parse(text.substr(text.find(' ') + 1)))
        sockets_[*peer] = id;
    }
    if (member(page, "socketRef").size() < static_cast<std::size_t>(kPage)) break;
  }
  next_ = std::max(next_, from);
}

}  // namespace assay::collector
