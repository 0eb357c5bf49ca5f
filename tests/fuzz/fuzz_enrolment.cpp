// SPDX-License-Identifier: Apache-2.0
// What arrives before anybody is known: requests to enrol (and to renew), as the collector's desk
// takes them. The input is an EnrolRequest.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "collector/core/enrolment_book.h"
#include "collector/identity/certifier.h"
#include "collector/ingest/enrolment_desk.h"
#include "common/base/encoding.h"
#include "common/base/sha256.h"

using namespace assay;
using namespace assay::collector;

namespace {

const std::string kTokenId = "0123456789abcdef";
const std::string kSecret(32, 'B');

void require(bool holds) {
  if (!holds) std::abort();
}

/// Keeps nothing: what is decided is in the book's memory.
class NoLedger final : public Ledger {
 public:
  Result<void> change_catalog(const CatalogEntry&,
                              std::shared_ptr<const catalog::Catalog>) override {
    return ok();
  }
  Result<std::vector<ScanOutcome>> import_scan(const ScanImport&) override {
    return std::vector<ScanOutcome>();
  }
  Result<void> change(std::size_t, std::function<Result<void>(StoreWriter&)>) override {
    return ok();
  }
  void audit(AuditEntry entry) override {
    require(entry.detail.find(to_hex(kSecret)) == std::string::npos);
    require(entry.subject.find('\n') == std::string::npos);
  }
};

class NoNodes final : public NodeDirectory {
 public:
  std::vector<NodeView> nodes() const override { return {}; }
};

class Collector {
 public:
  Collector() {
    const auto authority = make_authority("fuzz", clock_.wall_now());
    require(authority.has_value());
    auto certifier = Certifier::create({authority->certificate, authority->key}, clock_);
    require(certifier.has_value());
    certifier_ = std::move(*certifier);
  }

  void take(const v1::EnrolRequest& request) {
    Enrolments saved;
    JoinToken token;
    token.id = kTokenId;
    token.secret = sha256(kSecret);
    token.cluster = "test";
    token.pattern = "node-*";
    token.expires_ns = to_unix_ns(clock_.wall_now() + std::chrono::hours(1));
    saved.tokens.push_back(token);
    EnrolmentBook book(std::move(saved), ledger_, nodes_, *certifier_, clock_);
    EnrolmentDesk desk(book, *certifier_, nullptr, ledger_, clock_, {});
    const auto issued = desk.enrol(request, "ipv4:192.0.2.7:50000");
    // Only with the token, and only as a node that it is for.
    if (issued) {
      require(request.join_token().find(to_hex(kSecret)) != std::string::npos);
      require(request.cluster() == "test" && request.node().starts_with("node-"));
      require(book.identity({request.cluster(), request.node()}).has_value());
      require(desk.enrol(request, "").has_value());  // by its key now
    }
    v1::RenewRequest renewal;
    renewal.set_request(request.request());
    require(!desk.renew({"test", "node-1"}, std::nullopt, renewal, ""));
    (void)read_shown_certificate(request.request());
  }

 private:
  SystemClock clock_;
  NoLedger ledger_;
  NoNodes nodes_;
  std::unique_ptr<Certifier> certifier_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Collector collector;  // its authority takes long to make
  v1::EnrolRequest request;
  if (request.ParseFromArray(data, static_cast<int>(size))) collector.take(request);
  return 0;
}
