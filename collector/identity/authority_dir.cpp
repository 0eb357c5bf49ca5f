// SPDX-License-Identifier: Apache-2.0
#include "collector/identity/authority_dir.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "collector/core/principal.h"
#include "collector/identity/first_token.h"
#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/base/guarded_file.h"

namespace assay::collector {
namespace {

constexpr mode_t kPublic = 0644;
constexpr mode_t kPrivate = 0600;
constexpr std::size_t kMaxPemBytes = 1 << 20;

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  const bool is_new = std::filesystem::create_directories(path, error);
  if (error) return system_error("create " + path, error.value());
  if (is_new && ::chmod(path.c_str(), 0700) != 0) return system_error("chmod " + path);
  return ok();
}

Result<void> check_name(const char* what, const std::string& name) {
  if (is_valid_name(name)) return ok();
  return Error{ErrorCode::kInvalidArgument,
               std::string(what) + " \"" + escape_untrusted(name, 80) +
                   "\" may only hold letters, digits, \".\", \"_\" and \"-\""};
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof(name) - 1) != 0) return "";
  return is_valid_name(name) ? name : "";
}

Result<void> write_client(const std::string& dir, const AuthorityFolder& folder,
                          const std::string& common_name, const std::string& uri, WallTime now) {
  if (::access((dir + "/key.pem").c_str(), F_OK) == 0)
    return Error{ErrorCode::kAlreadyExists,
                 dir + "/key.pem exists: name another folder, or move it away"};
  ASSAY_TRY(make_directory(dir));
  ASSAY_ASSIGN(const CertificatePair client,
               issue(folder.authority, {common_name, {uri}, {}, false}, now));
  ASSAY_TRY(write_file_atomically(dir + "/key.pem", client.key, kPrivate));
  ASSAY_TRY(write_file_atomically(dir + "/cert.pem", client.certificate, kPublic));
  return write_file_atomically(dir + "/ca.pem", folder.bundle, kPublic);
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  return text;
}

}  // namespace

Result<void> init_authority(const InitRequest& request, WallTime now) {
  const std::string& dir = request.dir;
  ASSAY_TRY(check_name("cluster", request.cluster));
  for (const char* name : {"/ca-key.pem", "/ca.pem", "/server-key.pem"})
    if (::access((dir + name).c_str(), F_OK) == 0)
      return Error{
          ErrorCode::kAlreadyExists,
          dir + name + " exists: init does not overwrite an authority; name another folder"};
  ASSAY_TRY(make_directory(dir));
  ASSAY_ASSIGN(const CertificatePair authority, make_authority("Assay CA " + request.cluster, now));
  LeafRequest server{"assay-collector", {}, {"localhost", "127.0.0.1"}, true};
  for (const std::string& host : {host_name(), request.host})
    if (!host.empty() && host != "localhost" && host != "127.0.0.1") server.hosts.push_back(host);
  ASSAY_ASSIGN(const CertificatePair leaf, issue(authority, server, now));
  ASSAY_TRY(write_client(dir + "/admin", {authority, authority.certificate}, "admin",
                         user_uri("admin", Role::kAdmin), now));
  ASSAY_TRY(write_first_token(dir + "/admin/token", dir + "/" + kFirstTokenFile, now));
  ASSAY_TRY(write_file_atomically(dir + "/cluster", request.cluster + "\n", kPublic));
  ASSAY_TRY(write_file_atomically(dir + "/server-key.pem", leaf.key, kPrivate));
  ASSAY_TRY(write_file_atomically(dir + "/server.pem", leaf.certificate, kPublic));
  ASSAY_TRY(write_file_atomically(dir + "/ca.pem", authority.certificate, kPublic));
  return write_file_atomically(dir + "/ca-key.pem", authority.key, kPrivate);
}

Result<AuthorityFolder> load_authority(const std::string& dir) {
  AuthorityFolder folder;
  auto key = read_guarded_file(dir + "/ca-key.pem", kMaxPemBytes, Guard::kSecret);
  if (!key && key.error().code == ErrorCode::kNotFound)
    return Error{ErrorCode::kNotFound, "no authority in " + dir +
                                           ": run assay-collector init first, or name its folder "
                                           "with --dir"};
  ASSAY_ASSIGN(folder.authority.key, std::move(key));
  ASSAY_ASSIGN(folder.bundle, read_file(dir + "/ca.pem", kMaxPemBytes));
  const auto certificate = certificate_of_key(folder.bundle, folder.authority.key);
  if (!certificate)
    return Error{ErrorCode::kInvalidArgument,
                 dir + "/ca-key.pem belongs to none of the certificates in " + dir + "/ca.pem"};
  folder.authority.certificate = *certificate;
  return folder;
}

std::string cluster_of(const std::string& dir) {
  const auto cluster = read_file(dir + "/cluster", kMaxPemBytes);
  return cluster ? trimmed(*cluster) : "default";
}

Result<void> issue_client(const IssueRequest& request, WallTime now) {
  if (request.node.empty() == request.user.empty())
    return Error{ErrorCode::kInvalidArgument, "give either --node NAME or --user NAME"};
  ASSAY_ASSIGN(const Role role, role_named(request.role));
  ASSAY_ASSIGN(const AuthorityFolder authority, load_authority(request.dir));
  if (request.node.empty()) {
    ASSAY_TRY(check_name("user", request.user));
    return write_client(request.out, authority, request.user, user_uri(request.user, role), now);
  }
  NodeKey node;
  const auto slash = request.node.find('/');
  if (slash == std::string::npos) {
    node = {cluster_of(request.dir), request.node};
  } else {
    node = {request.node.substr(0, slash), request.node.substr(slash + 1)};
  }
  ASSAY_TRY(check_name("cluster", node.cluster));
  ASSAY_TRY(check_name("node", node.node));
  return write_client(request.out, authority, node.node, node_uri(node), now);
}

}  // namespace assay::collector
