// SPDX-License-Identifier: Apache-2.0
// A relay between agents and a collector that can put another catalog in the place of the
// collector's: what a hostile collector, or whoever stands between with its keys, can do.
#include <signal.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/link_proxy.h"

namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

/// Prints its address, then serves until SIGTERM.
int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr, "usage: %s COLLECTOR CA CERT KEY CLIENT_CERT CLIENT_KEY FORGED\n",
                 argv[0]);
    return 2;
  }
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);  // before there are threads
  const assay::tests::ProxyTls tls{bytes_of(argv[2]), bytes_of(argv[3]), bytes_of(argv[4]),
                                   bytes_of(argv[5]), bytes_of(argv[6])};
  const auto relay = assay::tests::LinkProxy::start(tls, argv[1], 0, {0, 0, 0, 0, 0, 0});
  relay->set_forged_catalog(argv[7]);
  std::printf("%s\n", relay->address().c_str());
  std::fflush(stdout);
  int number = 0;
  return ::sigwait(&signals, &number);
}
