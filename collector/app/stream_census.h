// SPDX-License-Identifier: Apache-2.0
// How many HTTP/2 streams gRPC holds of each connection, by what its channelz says. Private to
// collector/app.
#pragma once

#include <cstdint>
#include <map>

#include "collector/app/connection_table.h"

namespace assay::collector {

/// gRPC's own limit on streams holds only for a peer that acknowledges it, and a stream that was
/// reset counts no more although its memory is still held (CVE-2023-44487). These numbers are of
/// what is held. Not thread-safe.
/// Source: grpc/grpc.h, grpc_channelz_*; channelz.proto, SocketData.
class StreamCensus {
 public:
  /// Streams of the connection of `peer` that are not gone yet; 0 when it is not known.
  std::uint64_t held(const PeerAddress& peer);
  void forget(const PeerAddress& peer) { sockets_.erase(peer); }

 private:
  void list_new();
  void list_new_of(std::intptr_t server);

  std::map<PeerAddress, std::intptr_t> sockets_;
  std::intptr_t next_ = 0;  // ids only grow
};

}  // namespace assay::collector
