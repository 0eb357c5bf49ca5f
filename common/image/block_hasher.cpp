// SPDX-License-Identifier: Apache-2.0
// The two ways to hash blocks: OpenSSL everywhere, libipsec-mb's 4 to 16 lanes where it is there.
#include <openssl/evp.h>
#ifdef ASSAY_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "common/base/result.h"
#include "common/image/verity.h"

namespace assay::image {
namespace {

class OpensslBlockHasher final : public BlockHasher {
 public:
  OpensslBlockHasher() { ASSAY_ASSERT(sha256_ != nullptr && context_ != nullptr); }
  OpensslBlockHasher(const OpensslBlockHasher&) = delete;
  OpensslBlockHasher& operator=(const OpensslBlockHasher&) = delete;
  ~OpensslBlockHasher() override {
    EVP_MD_CTX_free(context_);
    EVP_MD_free(sha256_);
  }

  void hash(std::span<const std::uint8_t> messages, std::size_t message_bytes,
            std::span<DigestBytes> out) override {
    ASSAY_ASSERT(messages.size() == message_bytes * out.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      unsigned length = 0;
      const bool is_done =
          EVP_DigestInit_ex(context_, sha256_, nullptr) == 1 &&
          EVP_DigestUpdate(context_, messages.data() + i * message_bytes, message_bytes) == 1 &&
          EVP_DigestFinal_ex(context_, out[i].data(), &length) == 1;
      ASSAY_ASSERT(is_done);
    }
  }
  std::string_view name() const override { return "openssl"; }

 private:
  // Fetched once: the implicit fetch of EVP_sha256() costs as much as hashing a small block.
  EVP_MD* sha256_ = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context_ = EVP_MD_CTX_new();
};

#ifdef ASSAY_HAVE_IPSEC_MB
class IpsecMbBlockHasher final : public BlockHasher {
 public:
  explicit IpsecMbBlockHasher(IMB_MGR* manager) : manager_(manager) {}
  IpsecMbBlockHasher(const IpsecMbBlockHasher&) = delete;
  IpsecMbBlockHasher& operator=(const IpsecMbBlockHasher&) = delete;
  ~IpsecMbBlockHasher() override { free_mb_mgr(manager_); }

  void hash(std::span<const std::uint8_t> messages, std::size_t message_bytes,
            std::span<DigestBytes> out) override {
    ASSAY_ASSERT(messages.size() == message_bytes * out.size());
    // The checking call refuses a bad job, so none is lost silently.
    std::size_t completed = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      IMB_JOB* job = IMB_GET_NEXT_JOB(manager_);
      job->cipher_mode = IMB_CIPHER_NULL;
      job->cipher_direction = IMB_DIR_ENCRYPT;
      job->chain_order = IMB_ORDER_HASH_CIPHER;
      job->hash_alg = IMB_AUTH_SHA_256;
      job->src = messages.data() + i * message_bytes;
      job->hash_start_src_offset_in_bytes = 0;
      job->msg_len_to_hash_in_bytes = message_bytes;
      job->msg_len_to_cipher_in_bytes = 0;
      job->auth_tag_output = out[i].data();
      job->auth_tag_output_len_in_bytes = out[i].size();
      for (job = IMB_SUBMIT_JOB(manager_); job != nullptr; job = IMB_GET_COMPLETED_JOB(manager_))
        completed += job->status == IMB_STATUS_COMPLETED ? 1 : 0;
    }
    while (const IMB_JOB* job = IMB_FLUSH_JOB(manager_))
      completed += job->status == IMB_STATUS_COMPLETED ? 1 : 0;
    ASSAY_ASSERT(completed == out.size());
  }
  std::string_view name() const override { return "ipsec-mb"; }

 private:
  IMB_MGR* manager_;
};
#endif

}  // namespace

std::unique_ptr<BlockHasher> make_openssl_block_hasher() {
  return std::make_unique<OpensslBlockHasher>();
}

std::unique_ptr<BlockHasher> make_ipsec_mb_block_hasher() {
#ifdef ASSAY_HAVE_IPSEC_MB
  IMB_MGR* manager = alloc_mb_mgr(0);
  if (manager == nullptr) return nullptr;
  init_mb_mgr_auto(manager, nullptr);
  if (imb_get_errno(manager) == 0) return std::make_unique<IpsecMbBlockHasher>(manager);
  free_mb_mgr(manager);
#endif
  return nullptr;
}

std::unique_ptr<BlockHasher> make_block_hasher() {
  auto hasher = make_ipsec_mb_block_hasher();
  return hasher ? std::move(hasher) : make_openssl_block_hasher();
}

}  // namespace assay::image
