// SPDX-License-Identifier: Apache-2.0
#include "collector/kubernetes/api_server.h"

#include <curl/curl.h>

#include "common/base/encoding.h"
#include "common/base/file.h"

namespace assay::collector {
namespace {

constexpr std::size_t kMaxTokenBytes = 64 << 10;

struct FreeHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Handle = std::unique_ptr<CURL, FreeHandle>;
using Headers = std::unique_ptr<curl_slist, FreeList>;

struct Answer {
  long status = 0;
  std::string body;
  bool is_too_large = false;
};

std::size_t take(char* bytes, std::size_t size, std::size_t count, void* answer) {
  auto& into = *static_cast<Answer*>(answer);
  if (into.body.size() + size * count > kMaxApiAnswerBytes) {
    into.is_too_large = true;
    return 0;
  }
  into.body.append(bytes, size * count);
  return size * count;
}

void add(Headers& headers, const std::string& line) {
  headers.reset(curl_slist_append(headers.release(), line.c_str()));
}

std::string trimmed(std::string text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ')
    text.pop_back();
  return text;
}

Error unavailable(const std::string& message) {
  return {ErrorCode::kUnavailable, "Kubernetes' API server: " + message};
}

class Reviewer final : public AccountReviewer {
 public:
  explicit Reviewer(ApiServerOptions options) : options_(std::move(options)) {}

  Result<ReviewedAccount> review(const std::string& token) override {
    ASSAY_ASSIGN(const std::string answer,
                 call("/apis/authentication.k8s.io/v1/tokenreviews",
                      review_request(token, options_.policy.audience), "create tokenreviews"));
    ASSAY_ASSIGN(Review review, read_review(answer, options_.policy));
    review.account.cluster = options_.cluster;
    if (!review.account.node_name.empty()) return review.account;
    // Names and namespace were checked: they hold nothing that means something in a path.
    ASSAY_ASSIGN(const std::string pod,
                 call("/api/v1/namespaces/" + review.name_space + "/pods/" + review.pod, "",
                      "get pods in the namespace " + review.name_space));
    ASSAY_ASSIGN(review.account.node_name, read_pod_node(pod, review));
    return review.account;
  }

 private:
  /// `body`: "" for GET. Errors: kUnavailable, kLimitExceeded.
  Result<std::string> call(const std::string& path, const std::string& body,
                           const std::string& right) {
    auto own = read_file(options_.token_file, kMaxTokenBytes);
    if (!own) return unavailable(own.error().text() + " (kubernetes.token)");
    const Handle handle(curl_easy_init());
    Headers headers;
    add(headers, "Authorization: Bearer " + trimmed(std::move(*own)));
    add(headers, "Accept: application/json");
    Answer answer;
    char reason[CURL_ERROR_SIZE] = {};
    const std::string url = options_.url + path;
    CURL* raw = handle.get();
    curl_easy_setopt(raw, CURLOPT_URL, url.c_str());
    curl_easy_setopt(raw, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(raw, CURLOPT_CAINFO, options_.ca_file.c_str());
    curl_easy_setopt(raw, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(raw, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_easy_setopt(raw, CURLOPT_PROXY, "");
    curl_easy_setopt(raw, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(raw, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(raw, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    curl_easy_setopt(raw, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(raw, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(raw, CURLOPT_WRITEDATA, &answer);
    if (!body.empty()) {
      add(headers, "Content-Type: application/json");
      curl_easy_setopt(raw, CURLOPT_POSTFIELDS, body.c_str());
      curl_easy_setopt(raw, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    }
    curl_easy_setopt(raw, CURLOPT_HTTPHEADER, headers.get());
    const CURLcode code = curl_easy_perform(raw);
    if (answer.is_too_large)
      return Error{ErrorCode::kLimitExceeded, "the API server's answer is too large"};
    if (code != CURLE_OK)
      return unavailable(escape_untrusted(reason[0] != '\0' ? reason : curl_easy_strerror(code)));
    curl_easy_getinfo(raw, CURLINFO_RESPONSE_CODE, &answer.status);
    if (answer.status == 401 || answer.status == 403)
      return unavailable("it refuses the collector itself (" + std::to_string(answer.status) +
                         "): its service account must be allowed to " + right);
    if (answer.status == 404)
      return Error{ErrorCode::kPermissionDenied,
                   "the service account's token is of a pod that is gone"};
    if (answer.status != 200 && answer.status != 201)
      return unavailable("it answers with " + std::to_string(answer.status));
    return std::move(answer.body);
  }

  const ApiServerOptions options_;
};

}  // namespace

Result<std::unique_ptr<AccountReviewer>> make_account_reviewer(ApiServerOptions options) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);  // of the process
  if (initialised != CURLE_OK) return Error{ErrorCode::kInternal, "libcurl cannot be used"};
  while (options.url.ends_with('/'))
    options.url.pop_back();
  return std::unique_ptr<AccountReviewer>(std::make_unique<Reviewer>(std::move(options)));
}

}  // namespace assay::collector
