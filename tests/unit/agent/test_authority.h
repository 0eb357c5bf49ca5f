// SPDX-License-Identifier: Apache-2.0
// Certificates made for one test case.
#pragma once

#include <memory>
#include <string>
#include <utility>

namespace assay::agent::tests {

/// A certificate authority with a key of its own (ECDSA P-256).
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();

  /// PEM.
  const std::string& certificate() const { return certificate_; }
  /// Certificate and private key, PEM, valid for an hour, for this DNS name.
  std::pair<std::string, std::string> issue(const std::string& name) const;

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
  std::string certificate_;
};

}  // namespace assay::agent::tests
