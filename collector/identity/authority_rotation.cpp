// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/authority_rotation.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "collector/identity/authority_dir.h"
#include "collector/identity/certificates.h"
#include "common/base/file.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

constexpr mode_t kPublic = 0644;
constexpr mode_t kPrivate = 0600;
constexpr std::size_t kMaxPemBytes = 1 << 20;

struct Paths {
  explicit Paths(const std::string& dir)
      : bundle(dir + "/ca.pem"),
        key(dir + "/ca-key.pem"),
        next_key(dir + "/ca-next-key.pem"),
        old_key(dir + "/ca-old-key.pem"),
        server(dir + "/server.pem"),
        server_key(dir + "/server-key.pem"),
        admin(dir + "/admin") {}
  std::string bundle, key, next_key, old_key, server, server_key, admin;
};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

/// The authority that issued before, in the middle of a rotation: the one that the old key belongs
/// to. Whatever else is in the bundle was put there by a person.
std::optional<std::string> replaced_authority(const AuthorityFolder& folder, const Paths& paths) {
  const auto key = read_file(paths.old_key, kMaxPemBytes);
  auto certificate = key ? certificate_of_key(folder.bundle, *key) : std::nullopt;
  if (certificate == folder.authority.certificate) certificate.reset();
  return certificate;
}

RotationPhase phase_of(const AuthorityFolder& folder, const Paths& paths) {
  const auto next = read_file(paths.next_key, kMaxPemBytes);
  if (next && certificate_of_key(folder.bundle, *next)) return RotationPhase::kPrepared;
  return replaced_authority(folder, paths) ? RotationPhase::kActivated : RotationPhase::kSingle;
}

/// The first administrator works beside the collector: what is said to agents holds for him, too.
Result<void> update_admin(const AuthorityFolder& folder, const Paths& paths, WallTime now) {
  if (!exists(paths.admin + "/key.pem")) return ok();
  CertificatePair admin;
  ASSAY_ASSIGN(admin.key, read_file(paths.admin + "/key.pem", kMaxPemBytes));
  ASSAY_ASSIGN(admin.certificate, read_file(paths.admin + "/cert.pem", kMaxPemBytes));
  ASSAY_ASSIGN(const std::string renewed, issue_again(folder.authority, admin, kLeafLifetime, now));
  ASSAY_TRY(write_file_atomically(paths.admin + "/ca.pem", folder.bundle, kPublic));
  return write_file_atomically(paths.admin + "/cert.pem", renewed, kPublic);
}

Result<void> prepare(const std::string& dir, AuthorityFolder folder, WallTime now) {
  const Paths paths(dir);
  ASSAY_ASSIGN(const CertificatePair next,
               make_authority("Assay CA " + cluster_of(dir) + " " + to_rfc3339(now, 0), now));
  if (!folder.bundle.ends_with('\n')) folder.bundle += '\n';
  folder.bundle += next.certificate;
  if (auto all = certificates_of(folder.bundle); !all)
    return std::move(all.error()).with_context(paths.bundle);
  if (!certificate_of_key(folder.bundle, next.key))
    return Error{ErrorCode::kInvalidArgument,
                 paths.bundle + ": one of its certificates cannot be read: take it out first"};
  ASSAY_TRY(write_file_atomically(paths.next_key, next.key, kPrivate));
  ASSAY_TRY(write_file_atomically(paths.bundle, folder.bundle, kPublic));
  return update_admin(folder, paths, now);
}

Result<void> activate(const std::string& dir, const AuthorityFolder& folder, WallTime now) {
  const Paths paths(dir);
  ASSAY_TRY(write_file_atomically(paths.old_key, folder.authority.key, kPrivate));
  if (::rename(paths.next_key.c_str(), paths.key.c_str()) != 0)
    return system_error("rename " + paths.next_key);
  ASSAY_TRY(renew_server(dir, Renewal::kNow, now));
  ASSAY_ASSIGN(const AuthorityFolder next, load_authority(dir));
  return update_admin(next, paths, now);
}

/// Whether the server's certificate is of this authority. False when there is none.
Result<bool> is_server_of(const std::string& authority, const Paths& paths) {
  const auto server = read_file(paths.server, kMaxPemBytes);
  if (server) return is_issued_by(*server, authority);
  if (server.error().code == ErrorCode::kNotFound) return false;
  return server.error();
}

Result<void> retire(const std::string& dir, AuthorityFolder folder, WallTime now) {
  const Paths paths(dir);
  const std::string replaced = replaced_authority(folder, paths).value_or("");
  // An activate that was broken off after its rename has left it; agents would believe it no more.
  ASSAY_ASSIGN(const bool is_late, is_server_of(replaced, paths));
  if (is_late) ASSAY_TRY(renew_server(dir, Renewal::kNow, now));
  ASSAY_ASSIGN(auto trusted, certificates_of(folder.bundle));
  std::erase_if(trusted, [&](const std::string& der) { return to_pem({der}) == replaced; });
  folder.bundle = to_pem(trusted);
  ASSAY_TRY(write_file_atomically(paths.bundle, folder.bundle, kPublic));
  if (::unlink(paths.old_key.c_str()) != 0 && errno != ENOENT)
    return system_error("remove " + paths.old_key);
  return update_admin(folder, paths, now);
}

const char* next_step(RotationPhase phase) {
  switch (phase) {
    case RotationPhase::kSingle:
      return "no rotation is under way; the next step is prepare";
    case RotationPhase::kPrepared:
      return "a second authority is trusted; the next step is activate";
    case RotationPhase::kActivated:
      return "the second authority issues; the next step is retire";
  }
  return "";
}

}  // namespace

std::string_view name_of(RotationPhase phase) {
  switch (phase) {
    case RotationPhase::kSingle:
      return "single";
    case RotationPhase::kPrepared:
      return "prepared";
    case RotationPhase::kActivated:
      return "activated";
  }
  return "unknown";
}

Result<AuthorityState> read_authority_state(const std::string& dir) {
  ASSAY_ASSIGN(const AuthorityFolder folder, load_authority(dir));
  ASSAY_ASSIGN(const auto trusted, certificates_of(folder.bundle));
  ASSAY_ASSIGN(const auto issuing, certificates_of(folder.authority.certificate));
  AuthorityState state;
  state.phase = phase_of(folder, Paths(dir));
  for (const std::string& der : trusted) {
    ASSAY_ASSIGN(const ShownCertificate shown, read_shown_certificate(to_pem({der})));
    state.certificates.push_back({sha256(der).hex(), common_name_of(to_pem({der})),
                                  shown.expires_ns, der == issuing.front()});
  }
  return state;
}

Result<void> rotate_authority(const std::string& dir, RotationStep step, WallTime now) {
  const Paths paths(dir);
  ASSAY_ASSIGN(AuthorityFolder folder, load_authority(dir));
  const RotationPhase phase = phase_of(folder, paths);
  if (step == RotationStep::kPrepare && phase == RotationPhase::kSingle)
    return prepare(dir, std::move(folder), now);
  if (step == RotationStep::kActivate && phase == RotationPhase::kPrepared)
    return activate(dir, folder, now);
  if (step == RotationStep::kRetire && phase == RotationPhase::kActivated)
    return retire(dir, std::move(folder), now);
  return Error{ErrorCode::kInvalidArgument, dir + ": " + next_step(phase)};
}

Result<bool> renew_server(const std::string& dir, Renewal renewal, WallTime now) {
  const Paths paths(dir);
  ASSAY_ASSIGN(const AuthorityFolder folder, load_authority(dir));
  CertificatePair server;
  ASSAY_ASSIGN(server.certificate, read_file(paths.server, kMaxPemBytes));
  ASSAY_ASSIGN(server.key, read_file(paths.server_key, kMaxPemBytes));
  ASSAY_ASSIGN(const auto trusted, certificates_of(folder.bundle));
  if (std::ranges::none_of(trusted, [&](const std::string& der) {
        return is_issued_by(server.certificate, to_pem({der}));
      }))
    return Error{ErrorCode::kUntrusted,
                 paths.server + " is not of the authority in " + dir + ": it is not replaced"};
  ASSAY_ASSIGN(const bool is_late, is_due(server.certificate, now));
  if (renewal == Renewal::kIfDue && !is_late) return false;
  ASSAY_ASSIGN(const std::string renewed,
               issue_again(folder.authority, server, kLeafLifetime, now));
  ASSAY_TRY(write_file_atomically(paths.server, renewed, kPublic));
  return true;
}

}  // namespace assay::collector
