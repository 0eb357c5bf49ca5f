// SPDX-License-Identifier: Apache-2.0
// Copies, prints and indexes, so that each kind of hardening leaves its mark.
#include <cstdio>
#include <cstring>
#include <string>

int main(int argc, char** argv) {
  char name[16];
  std::strcpy(name, argv[0]);  // NOLINT: what FORTIFY is for
  const std::string text(name);
  std::printf("%s %c\n", name, text[static_cast<std::size_t>(argc)]);
  return 0;
}
