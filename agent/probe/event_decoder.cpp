// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/event_decoder.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

namespace assay::agent {
namespace {

// The programs write the records of one start right behind each other.
constexpr std::chrono::seconds kPartsTogether{1};

constexpr std::uint32_t kOverlayMagic = 0x794c7630;

Error corrupt(std::string what) {
  return Error{ErrorCode::kCorrupt, "probe record: " + std::move(what)};
}

// Copies the fixed part of a record; what lies behind `fixed_size` bytes is variable.
template <typename Record>
Result<Record> read_fixed(std::string_view bytes, std::size_t fixed_size = sizeof(Record)) {
  Record record{};
  if (bytes.size() < fixed_size) return corrupt("too short");
  std::memcpy(&record, bytes.data(), fixed_size);
  return record;
}

std::uint64_t to_device(std::uint32_t kernel_device) {
  return makedev(kernel_device >> 20U, kernel_device & 0xfffffU);
}

// No machine runs for 36 years; beyond it arithmetic on what a recording holds would overflow.
constexpr std::uint64_t kMaxBootNs = 1ULL << 60U;

BootTime to_boot_time(std::uint64_t ns) {
  return BootTime(static_cast<BootTime::rep>(std::min(ns, kMaxBootNs)));
}

ProcessInfo to_process(const assay_process& process) {
  const std::size_t size = strnlen(process.name, sizeof(process.name));
  return ProcessInfo{ProcessKey{process.tgid, to_boot_time(process.start_boot_ns)},
                     std::string(process.name, size)};
}

// The kernel side writes names leaf first, of cgroups and of files. A path that it could not write
// whole has no leading slash.
std::string path_of_names(std::string_view names, bool is_truncated) {
  std::vector<std::string> parts = split_arguments(names);
  std::reverse(parts.begin(), parts.end());
  std::string path;
  for (const std::string& part : parts) {
    if (!path.empty() || !is_truncated) path += '/';
    path += part;
  }
  return path.empty() ? "/" : path;
}

// Splits "a:b\:c" at the colons that no backslash precedes; backslashes stay, as in newer kernels.
std::vector<std::string> split_lowerdir(std::string_view text) {
  std::vector<std::string> names;
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      name += text[i++];
      name += text[i];
    } else if (text[i] == ':') {
      if (!name.empty()) names.push_back(std::exchange(name, {}));
    } else {
      name += text[i];
    }
  }
  if (!name.empty()) names.push_back(std::move(name));
  return names;
}

Result<LowerLayer> to_layer(const assay_layer& from) {
  if (from.name_size > sizeof(from.name)) return corrupt("a layer's name is too long");
  LowerLayer layer;
  layer.name.assign(from.name, from.name_size);
  layer.name_is_truncated = (from.flags & ASSAY_LAYER_NAME_TRUNCATED) != 0;
  layer.device = to_device(from.device);
  layer.inode = from.inode;
  layer.generation = from.generation;
  layer.magic = from.magic;
  layer.is_id_mapped = (from.flags & ASSAY_LAYER_ID_MAPPED) != 0;
  layer.is_data_only = (from.flags & ASSAY_LAYER_DATA_ONLY) != 0;
  layer.may_hang = (from.flags & ASSAY_LAYER_MAY_HANG) != 0;
  return layer;
}

StartCause to_cause(std::uint32_t cause, std::uint32_t flags) {
  switch (cause) {
    case ASSAY_CAUSE_NO_EXEC:
      return StartCause::kNoExec;
    case ASSAY_CAUSE_SWEEP:
      return StartCause::kSweep;
    default:
      // A hook may be mounted into the container as well; that its parent waits says more.
      if ((flags & ASSAY_PARENT_ON_ROOT) != 0) return StartCause::kChildExec;
      return (flags & ASSAY_FROM_OTHER_MOUNT) != 0 ? StartCause::kInjectedExec : StartCause::kExec;
  }
}

void set_flags(ContainerStart& start, std::uint32_t flags) {
  start.is_overlay = (flags & ASSAY_IS_OVERLAY) != 0;
  start.is_host_root = (flags & ASSAY_IS_HOST_ROOT) != 0;
  start.in_host_mount_namespace = (flags & ASSAY_IN_HOST_MOUNT_NAMESPACE) != 0;
  start.in_host_pid_namespace = (flags & ASSAY_IN_HOST_PID_NAMESPACE) != 0;
  start.in_host_user_namespace = (flags & ASSAY_IN_HOST_USER_NAMESPACE) != 0;
  start.layers_truncated = (flags & ASSAY_LAYERS_TRUNCATED) != 0;
  start.arguments_truncated =
      (flags & (ASSAY_ARGUMENTS_TRUNCATED | ASSAY_EXECUTABLE_TRUNCATED)) != 0;
}

void set_overlay(ContainerStart& start, const assay_overlay& overlay) {
  start.overlay.redirect_mode = overlay.redirect_mode;
  start.overlay.verity_mode = overlay.verity_mode;
  start.overlay.data_only_layers = overlay.data_only_layers;
  start.overlay.metacopy = (overlay.flags & ASSAY_OVERLAY_METACOPY) != 0;
  start.overlay.userxattr = (overlay.flags & ASSAY_OVERLAY_USERXATTR) != 0;
}

catalog::ExecOrigin origin_of(const assay_file& file) {
  using enum catalog::ExecOrigin;
  if ((file.flags & ASSAY_FILE_KNOWN) == 0) return kUnknown;
  if ((file.flags & ASSAY_FILE_INTERNAL) != 0) return kMemory;
  if ((file.flags & ASSAY_FILE_UNLINKED) != 0) return kDeleted;
  if ((file.flags & ASSAY_FILE_ON_ROOT) == 0) return kOtherMount;
  if (file.magic != kOverlayMagic) return kRoot;
  if ((file.flags & ASSAY_FILE_UPPER_UNKNOWN) != 0) return kUnknown;
  return (file.flags & ASSAY_FILE_FROM_UPPER) != 0 ? kUpper : kLayer;
}

Result<ExecutedFile> to_file(const assay_file& file) {
  if (file.path_size > sizeof(file.path)) return corrupt("a file's path is too long");
  ExecutedFile executed;
  executed.origin = origin_of(file);
  executed.device = to_device(file.device);
  executed.inode = file.inode;
  executed.generation = file.generation;
  executed.is_interpreter = (file.flags & ASSAY_FILE_IS_INTERPRETER) != 0;
  if (file.path_size != 0) executed.path = path_of_names({file.path, file.path_size}, false);
  return executed;
}

std::string seccomp_name(const assay_posture& posture) {
  if ((posture.flags & ASSAY_POSTURE_SECCOMP_UNKNOWN) != 0) return "";
  if (posture.seccomp_mode == 0) return "none";
  return posture.seccomp_mode == 1 ? "strict" : "filter";
}

catalog::Posture to_posture(const assay_start& record) {
  using enum catalog::PostureTrait;
  catalog::Posture posture;
  const std::uint32_t flags = record.posture.flags;
  const bool in_host_user = (record.flags & ASSAY_IN_HOST_USER_NAMESPACE) != 0;
  if ((flags & ASSAY_POSTURE_KNOWN) == 0) return posture;
  posture.is_known = true;
  posture.capabilities = record.posture.effective_capabilities;
  posture.seccomp = seccomp_name(record.posture);
  posture.set(kRoot, record.uid == 0);
  posture.set(kPrivileged, in_host_user && (flags & ASSAY_POSTURE_ALL_CAPABILITIES) != 0);
  posture.set(kNoSeccomp, posture.seccomp == "none");
  posture.set(kNewPrivileges, (flags & ASSAY_POSTURE_NO_NEW_PRIVS) == 0);
  posture.set(kHostUser, in_host_user);
  posture.set(kHostPid, (record.flags & ASSAY_IN_HOST_PID_NAMESPACE) != 0);
  posture.set(kHostNet, (flags & ASSAY_POSTURE_HOST_NET) != 0);
  posture.set(kHostIpc, (flags & ASSAY_POSTURE_HOST_IPC) != 0);
  posture.set(kHostUts, (flags & ASSAY_POSTURE_HOST_UTS) != 0);
  posture.set(kHostCgroup, (flags & ASSAY_POSTURE_HOST_CGROUP) != 0);
  posture.set(kHostMnt, (record.flags & ASSAY_IN_HOST_MOUNT_NAMESPACE) != 0);
  posture.set(kWritableRoot, (flags & ASSAY_POSTURE_READ_ONLY_ROOT) == 0);
  return posture;
}

/// How long the part before the arguments is: up to ABI 2 it ended with the executable's name.
template <typename Record>
std::size_t fixed_size(std::string_view bytes, std::size_t added_at) {
  assay_record_header header{};
  std::memcpy(&header, bytes.data(), sizeof(header));
  return header.abi_version < 3 ? added_at : offsetof(Record, arguments);
}

bool has_legal_counts(const assay_start& record) {
  return record.ancestor_count <= ASSAY_MAX_ANCESTORS &&
         record.namespace_pid_count <= ASSAY_MAX_NAMESPACE_PIDS &&
         record.cgroup_path_size <= ASSAY_MAX_CGROUP_PATH &&
         record.executable_size <= ASSAY_MAX_EXECUTABLE &&
         record.arguments_size <= ASSAY_MAX_ARGUMENTS;
}

void set_identity(ContainerStart& start, const assay_start& record) {
  start.key = to_run_key(record.key);
  start.cause = to_cause(record.cause, record.flags);
  start.process = to_process(record.process);
  // A sweep asks for the oldest task on the root, which stands for the run's beginning.
  start.time = start.cause == StartCause::kSweep ? start.process.key.start
                                                 : to_boot_time(record.header.boot_ns);
  start.begins_life = (record.flags & ASSAY_BEGINS_LIFE) != 0;
  start.is_told_again = (record.flags & ASSAY_TOLD_AGAIN) != 0;
  if (start.is_told_again && start.cause != StartCause::kSweep && record.known_since_boot_ns != 0)
    start.time = to_boot_time(record.known_since_boot_ns);
  start.uid = record.uid;
  start.gid = record.gid;
  start.mount_namespace = record.mount_namespace;
  start.pid_namespace = record.pid_namespace;
  start.user_namespace = record.user_namespace;
}

void set_lists(ContainerStart& start, const assay_start& record) {
  for (std::uint32_t i = 0; i < record.ancestor_count; ++i)
    start.ancestors.push_back(to_process(record.ancestors[i]));
  start.namespace_pids.assign(record.namespace_pids,
                              record.namespace_pids + record.namespace_pid_count);
  start.cgroup_path = path_of_names({record.cgroup_path, record.cgroup_path_size},
                                    (record.flags & ASSAY_CGROUP_PATH_TRUNCATED) != 0);
  start.executable.assign(record.executable, record.executable_size);
  start.arguments = split_arguments({record.arguments, record.arguments_size});
}

Result<ProbeRecord> decode_exec(std::string_view bytes) {
  const std::size_t fixed = fixed_size<assay_exec>(bytes, offsetof(assay_exec, file));
  ASSAY_ASSIGN(const auto record, read_fixed<assay_exec>(bytes, fixed));
  if (record.executable_size > ASSAY_MAX_EXECUTABLE ||
      record.arguments_size > ASSAY_MAX_ARGUMENTS || bytes.size() != fixed + record.arguments_size)
    return corrupt("an exec's sizes disagree");
  ContainerExec exec;
  exec.key = to_run_key(record.key);
  exec.time = to_boot_time(record.header.boot_ns);
  exec.process = to_process(record.process);
  exec.parent = to_process(record.parent);
  exec.uid = record.uid;
  exec.executable.assign(record.executable, record.executable_size);
  exec.arguments = split_arguments(bytes.substr(fixed));
  exec.arguments_truncated =
      (record.flags & (ASSAY_ARGUMENTS_TRUNCATED | ASSAY_EXECUTABLE_TRUNCATED)) != 0;
  exec.is_from_upper = (record.flags & ASSAY_FROM_UPPER) != 0;
  ASSAY_ASSIGN(exec.file, to_file(record.file));
  return ProbeRecord(std::move(exec));
}

Result<ProbeRecord> decode_emptied(std::string_view bytes) {
  ASSAY_ASSIGN(const auto record, read_fixed<assay_emptied>(bytes));
  return ProbeRecord(RunEmptied{to_run_key(record.key), to_boot_time(record.header.boot_ns)});
}

Result<ProbeRecord> decode_canary(std::string_view bytes) {
  ASSAY_ASSIGN(const auto record, read_fixed<assay_canary>(bytes));
  if (record.arguments_size > sizeof(record.arguments)) return corrupt("a canary is too long");
  return ProbeRecord(CanarySeen{to_process(record.process).key,
                                split_arguments({record.arguments, record.arguments_size})});
}

Result<ProbeRecord> decode_noisy(std::string_view bytes) {
  ASSAY_ASSIGN(const auto record, read_fixed<assay_noisy>(bytes));
  if (record.kind > ASSAY_BUDGET_STARTS) return corrupt("an unknown budget");
  NoiseSeen noise;
  noise.key = to_run_key(record.key);
  noise.budget = record.kind == ASSAY_BUDGET_STARTS ? Budget::kStarts : Budget::kExecs;
  noise.time = to_boot_time(record.header.boot_ns);
  noise.dropped = record.dropped;
  noise.limit = record.budget;
  return ProbeRecord(noise);
}

Result<assay_record_header> read_header(std::string_view bytes) {
  ASSAY_ASSIGN(const auto header, read_fixed<assay_record_header>(bytes));
  if (header.abi_version < ASSAY_ABI_OLDEST_READ || header.abi_version > ASSAY_ABI_VERSION)
    return Error{ErrorCode::kUnsupported, "probe record: ABI " +
                                              std::to_string(header.abi_version) + ", expected " +
                                              std::to_string(ASSAY_ABI_VERSION)};
  if (header.size < sizeof(header) || header.size > bytes.size())
    return corrupt("its size disagrees with its bytes");
  return header;
}

}  // namespace

std::vector<std::string> split_arguments(std::string_view bytes) {
  std::vector<std::string> arguments;
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\0'), bytes.size());
    arguments.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return arguments;
}

RunKey to_run_key(const assay_run_key& key) {
  return RunKey{RootIdentity{to_device(key.device), key.inode, key.generation, key.magic},
                key.cgroup_id};
}

assay_run_key to_kernel_key(const RunKey& key) {
  assay_run_key kernel{};
  kernel.inode = key.root.inode;
  kernel.cgroup_id = key.cgroup_id;
  kernel.device = major(key.root.device) << 20U | minor(key.root.device);
  kernel.generation = key.root.generation;
  kernel.magic = key.root.magic;
  return kernel;
}

Result<ProbeRecord> EventDecoder::decode(std::string_view record) {
  ASSAY_ASSIGN(const assay_record_header header, read_header(record));
  record = record.substr(0, header.size);
  switch (header.type) {
    case ASSAY_RECORD_START:
      return decode_start(record);
    case ASSAY_RECORD_LAYERS:
      return decode_layers(record);
    case ASSAY_RECORD_LOWERDIR:
      return decode_lowerdir(record);
    case ASSAY_RECORD_EXEC:
      return decode_exec(record);
    case ASSAY_RECORD_EMPTIED:
      return decode_emptied(record);
    case ASSAY_RECORD_CANARY:
      return decode_canary(record);
    case ASSAY_RECORD_NOISY:
      return decode_noisy(record);
    default:
      return corrupt("unknown type " + std::to_string(header.type));
  }
}

bool EventDecoder::has_parts(BootTime now) const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [&](const PendingStart& start) { return now - start.time < kPartsTogether; });
}

EventDecoder::PendingStart& EventDecoder::pending(std::uint64_t start_id, std::uint64_t boot_ns) {
  for (PendingStart& start : pending_)
    if (start.start_id == start_id) return start;
  if (pending_.size() >= kMaxPendingStarts) pending_.pop_front();
  PendingStart& start = pending_.emplace_back();
  start.start_id = start_id;
  start.time = to_boot_time(boot_ns);
  return start;
}

EventDecoder::PendingStart EventDecoder::take(std::uint64_t start_id) {
  for (auto it = pending_.begin(); it != pending_.end(); ++it) {
    if (it->start_id != start_id) continue;
    PendingStart start = std::move(*it);
    pending_.erase(it);
    return start;
  }
  return {};
}

Result<ProbeRecord> EventDecoder::decode_layers(std::string_view bytes) {
  constexpr std::size_t kFixed = offsetof(assay_layers, layers);
  ASSAY_ASSIGN(const auto record, read_fixed<assay_layers>(bytes, kFixed));
  if (record.count > ASSAY_LAYERS_PER_RECORD || record.first_index > ASSAY_MAX_LAYERS ||
      record.first_index + record.count > ASSAY_MAX_LAYERS ||
      bytes.size() != kFixed + record.count * sizeof(assay_layer))
    return corrupt("the number of layers disagrees with the size");
  PendingStart& start = pending(record.start_id, record.header.boot_ns);
  const std::size_t end = record.first_index + record.count;
  if (start.layers.size() < end) {
    start.layers.resize(end);
    start.is_present.resize(end);
  }
  for (std::uint32_t i = 0; i < record.count; ++i) {
    assay_layer raw{};
    std::memcpy(&raw, bytes.data() + kFixed + i * sizeof(raw), sizeof(raw));
    ASSAY_ASSIGN(start.layers[record.first_index + i], to_layer(raw));
    start.is_present[record.first_index + i] = (raw.flags & ASSAY_LAYER_UNREADABLE) == 0;
  }
  return ProbeRecord();
}

Result<ProbeRecord> EventDecoder::decode_lowerdir(std::string_view bytes) {
  constexpr std::size_t kFixed = offsetof(assay_lowerdir, text);
  ASSAY_ASSIGN(const auto record, read_fixed<assay_lowerdir>(bytes, kFixed));
  if (record.text_size > ASSAY_MAX_LOWERDIR || bytes.size() != kFixed + record.text_size)
    return corrupt("the size of the lower directories' names disagrees");
  pending(record.start_id, record.header.boot_ns).names = split_lowerdir(bytes.substr(kFixed));
  return ProbeRecord();
}

Result<ProbeRecord> EventDecoder::decode_start(std::string_view bytes) {
  const std::size_t fixed = fixed_size<assay_start>(bytes, offsetof(assay_start, posture));
  ASSAY_ASSIGN(auto record, read_fixed<assay_start>(bytes, fixed));
  if (!has_legal_counts(record) || bytes.size() != fixed + record.arguments_size)
    return corrupt("a start's sizes disagree");
  std::memcpy(record.arguments, bytes.data() + fixed, record.arguments_size);

  ContainerStart start;
  set_identity(start, record);
  set_flags(start, record.flags);
  set_overlay(start, record.overlay);
  set_lists(start, record);
  start.posture = to_posture(record);
  ASSAY_ASSIGN(start.file, to_file(record.file));

  PendingStart parts = take(record.start_id);
  const std::size_t count = std::min<std::size_t>(record.layer_count, ASSAY_MAX_LAYERS);
  if (parts.layers.size() != count || count != record.layer_count) start.layers_truncated = true;
  const std::size_t known = std::min(count, parts.layers.size());
  for (std::size_t i = known; i-- > 0;) {
    if (!parts.is_present[i]) {
      start.layers_truncated = true;
      continue;
    }
    if (parts.layers[i].name.empty() && i < parts.names.size())
      parts.layers[i].name = std::move(parts.names[i]);
    start.layers.push_back(std::move(parts.layers[i]));
  }
  ProbeRecord decoded;  // in place: gcc 12 takes the moved temporary for one that was never made
  decoded.emplace<ContainerStart>(std::move(start));
  return decoded;
}

Result<std::vector<SweptTask>> decode_swept_tasks(std::string_view records) {
  std::vector<SweptTask> tasks;
  while (!records.empty()) {
    ASSAY_ASSIGN(const assay_record_header header, read_header(records));
    if (header.type != ASSAY_RECORD_TASK || header.size != sizeof(assay_task))
      return corrupt("not a sweep's record");
    ASSAY_ASSIGN(const auto record, read_fixed<assay_task>(records));
    SweptTask task;
    task.key = to_run_key(record.key);
    task.process = to_process(record.process).key;
    task.layer_count = record.layer_count;
    task.has_never_executed = (record.flags & ASSAY_NEVER_EXECUTED) != 0;
    task.is_lost = (record.flags & ASSAY_TOLD_AGAIN) != 0;
    task.is_start_due = (record.flags & ASSAY_START_IS_DUE) != 0;
    task.is_exec_due = (record.flags & ASSAY_EXEC_IS_DUE) != 0;
    tasks.push_back(task);
    records.remove_prefix(header.size);
  }
  return tasks;
}

}  // namespace assay::agent
