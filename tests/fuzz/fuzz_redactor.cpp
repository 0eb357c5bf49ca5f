// SPDX-License-Identifier: Apache-2.0
// Arguments of a container's programs before a secret is looked for in them. The input is the
// arguments, each ended by a zero. Their number stays, and what is left has no secret after an
// option that says so.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/app/config.h"
#include "agent/privacy/redactor.h"

using namespace assay::agent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto redactor =
      Redactor::create({AgentConfig().redact_words, {"^-p(.+)", "AKIA[0-9A-Z]{16}"}}).value();
  std::vector<std::string> arguments;
  std::string one;
  for (std::size_t i = 0; i < size; ++i) {
    if (data[i] != 0) {
      one += static_cast<char>(data[i]);
      continue;
    }
    arguments.push_back(std::move(one));
    one.clear();
  }
  arguments.emplace_back("--password=a-secret-of-ours");
  arguments.emplace_back("--token");
  arguments.emplace_back("another-secret-of-ours");
  const std::size_t before = arguments.size();
  redactor->redact(arguments);
  if (arguments.size() != before) std::abort();
  for (const std::string& argument : {arguments[before - 3], arguments[before - 1]})
    if (argument.find("secret-of-ours") != std::string::npos) std::abort();
  return 0;
}
