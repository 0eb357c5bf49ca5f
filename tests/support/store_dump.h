// SPDX-License-Identifier: Apache-2.0
// What a collector's store holds, as lines that two runs of the same events must share.
#pragma once

#include <string>
#include <vector>

namespace assay::tests {

/// One sorted line for each run, stack, layer, exec, finding and epoch, without the numbers that
/// the store gives (row keys, random ids, rounds). Opens the file read-only; aborts when it cannot.
std::vector<std::string> dump_store(const std::string& path);

/// Lines of one dump that the other lacks, marked with - and +, at most 40: "" when they are equal.
std::string difference(const std::vector<std::string>& expected,
                       const std::vector<std::string>& actual);

}  // namespace assay::tests
