// SPDX-License-Identifier: Apache-2.0
#include "agent/local/local_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace assay::agent {
namespace {

constexpr int kBacklog = 16;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!path.starts_with('/') || path.size() >= sizeof(address.sun_path))
    return Error{ErrorCode::kInvalidArgument,
                 "socket " + path + ": it must be an absolute path of at most " +
                     std::to_string(sizeof(address.sun_path) - 1) + " bytes"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<UniqueFd> make_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error("socket");
  return fd;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Result<void> make_folder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  const bool is_new = std::filesystem::create_directories(folder, error);
  if (error) return system_error("create " + folder, error.value());
  if (is_new && ::chmod(folder.c_str(), 0700) != 0) return system_error("chmod " + folder);
  struct stat status = {};
  if (::stat(folder.c_str(), &status) != 0) return system_error("stat " + folder);
  if (status.st_uid != ::geteuid())
    return Error{ErrorCode::kUntrusted, "folder " + folder + " of the socket belongs to user " +
                                            std::to_string(status.st_uid) +
                                            ": chown it to the user that runs the agent, or give "
                                            "another local.socket"};
  if ((status.st_mode & 077U) != 0)
    return Error{ErrorCode::kUntrusted, "folder " + folder +
                                            " of the socket may be entered by others: chmod 700 " +
                                            folder + ", or give another local.socket"};
  return ok();
}

/// Whoever listened there is gone, unless somebody answers.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? ok() : system_error(path);
  if (!S_ISSOCK(status.st_mode))
    return Error{ErrorCode::kAlreadyExists,
                 path + " is there and is no socket: move it away, or give another local.socket"};
  ASSAY_ASSIGN(const UniqueFd fd, make_socket());
  if (::connect(fd.get(), generic(address), sizeof(address)) == 0 || errno == EAGAIN)
    return Error{ErrorCode::kUnavailable, "another assay-agent listens at " + path +
                                              ": stop it, or give this one another local.socket"};
  if (errno != ECONNREFUSED) return system_error("connect " + path);
  if (::unlink(path.c_str()) != 0) return system_error("unlink " + path);
  return ok();
}

}  // namespace

Result<SocketPeer> peer_of(int fd) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return system_error("SO_PEERCRED");
  return SocketPeer{credentials.pid, credentials.uid};
}

bool is_trusted(const SocketPeer& peer) {
  return peer.uid == 0 || peer.uid == ::geteuid();
}

Result<UniqueFd> listen_locally(const std::string& path) {
  ASSAY_ASSIGN(const sockaddr_un address, address_of(path));
  ASSAY_TRY(make_folder(path));
  ASSAY_TRY(remove_stale(path, address));
  ASSAY_ASSIGN(UniqueFd fd, make_socket());
  // Nobody else can be in the folder before the mode is set.
  if (::bind(fd.get(), generic(address), sizeof(address)) != 0) return system_error("bind " + path);
  if (::chmod(path.c_str(), 0600) != 0) return system_error("chmod " + path);
  if (::listen(fd.get(), kBacklog) != 0) return system_error("listen " + path);
  return fd;
}

Result<UniqueFd> connect_locally(const std::string& path) {
  ASSAY_ASSIGN(const sockaddr_un address, address_of(path));
  ASSAY_ASSIGN(UniqueFd fd, make_socket());
  if (::connect(fd.get(), generic(address), sizeof(address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED)
      return Error{ErrorCode::kUnavailable,
                   "no agent listens at " + path +
                       " (is it running? check local.socket, or give --local-socket)"};
    if (errno == EACCES || errno == EPERM)
      return Error{ErrorCode::kPermissionDenied,
                   path + " is for root and the agent's own user: run this as root"};
    return system_error("connect " + path);
  }
  ASSAY_ASSIGN(const SocketPeer peer, peer_of(fd.get()));
  if (!is_trusted(peer))
    return Error{ErrorCode::kUntrusted,
                 path + " is served by user " + std::to_string(peer.uid) + ", not by root"};
  return fd;
}

}  // namespace assay::agent
