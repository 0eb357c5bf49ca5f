// SPDX-License-Identifier: Apache-2.0
// The address of a peer as gRPC writes it: read once it must read the same again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "collector/app/connection_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using assay::collector::PeerAddress;
  const auto peer = PeerAddress::parse({reinterpret_cast<const char*>(data), size});
  if (!peer) return 0;
  const std::string host = peer->is_ipv6 ? "ipv6:[" + peer->host() + "]" : "ipv4:" + peer->host();
  if (PeerAddress::parse(host + ":" + std::to_string(peer->port)) != peer) std::abort();
  return 0;
}
