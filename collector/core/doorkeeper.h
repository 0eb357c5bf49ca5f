// SPDX-License-Identifier: Apache-2.0
// Who calls, whether they may, and whether not too often. Every refusal is in the audit log.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/call_rates.h"
#include "collector/core/ports.h"
#include "collector/core/principal.h"
#include "collector/core/token_book.h"
#include "common/base/clock.h"

namespace assay::collector {

struct DoorOptions {
  CallRate calls;                     ///< of one principal
  CallRate failures;                  ///< answered as such, of one host that shows nothing valid
  std::size_t max_principals = 4096;  ///< that are counted at a time
  std::size_t max_hosts = 4096;
};

/// What a call shows of itself.
struct Credentials {
  bool has_certificate = false;  ///< verified by TLS
  std::vector<std::string> uris = {};
  std::vector<std::string> authorizations = {};  ///< values of that header
  std::string peer;
};

/// What it wants.
struct Errand {
  std::string method;  ///< "Query.ListRuns"
  Role least = Role::kViewer;
  std::string action = {};   ///< in the audit log; "": the method
  std::string subject = {};  ///< what it is to be done to
};

struct Admission {
  enum class Outcome { kAdmitted, kUnauthenticated, kDenied, kLimited };
  Outcome outcome = Outcome::kAdmitted;
  Principal who;                             ///< of kAdmitted
  std::string reason;                        ///< of all others; holds nothing secret
  std::chrono::milliseconds retry_after{0};  ///< of kLimited
};

/// Thread-safe; never blocks.
class Doorkeeper {
 public:
  /// All must outlive it.
  Doorkeeper(TokenBook& tokens, Ledger& ledger, PeerProof& proofs, const Clock& clock,
             const DoorOptions& options)
      : tokens_(tokens),
        ledger_(ledger),
        proofs_(proofs),
        clock_(clock),
        calls_(options.calls, options.max_principals),
        failures_(options.failures, options.max_hosts) {}

  /// A valid token or certificate is let in however many failures its host has: nobody guesses 256
  /// bits, so refusing it would only lock out those who share an address. Who is let in has proven
  /// its connection, at once: not with the answer, which may take long.
  Admission admit(const Credentials& shown, const Errand& errand);
  TokenBook& tokens() { return tokens_; }
  void set_rates(CallRate calls, CallRate failures) {
    calls_.set_rate(calls);
    failures_.set_rate(failures);
  }

 private:
  Result<Principal> identify(const Credentials& shown);
  Admission refuse(Admission admission, const Credentials& shown, const Errand& errand,
                   const std::string& actor);

  TokenBook& tokens_;
  Ledger& ledger_;
  PeerProof& proofs_;
  const Clock& clock_;
  CallRates calls_;
  CallRates failures_;
};

}  // namespace assay::collector
