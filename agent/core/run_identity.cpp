// SPDX-License-Identifier: Apache-2.0
#include "agent/core/run_identity.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdio>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::agent {
namespace {

constexpr std::uint32_t kOverlayMagic = 0x794c7630;
constexpr std::size_t kRunIdDigits = 32;

constexpr std::size_t kMaxAncestorsNamed = 6;

/// Where its record says that it is a sandbox, by runtimes that write that word themselves. docker
/// and podman copy labels and annotations out of images: what an image says decides nothing.
struct SandboxMark {
  std::string_view runtime;
  const char* key;
};
constexpr SandboxMark kSandboxMarks[] = {
    {"containerd", "io.kubernetes.cri.container-type"},
    {"cri-o", "io.kubernetes.cri-o.ContainerType"},
};

bool is_sandbox(const ContainerNames& names) {
  return std::ranges::any_of(kSandboxMarks, [&](const SandboxMark& mark) {
    const auto found = names.labels.find(mark.key);
    return names.runtime == mark.runtime && found != names.labels.end() &&
           found->second == "sandbox";
  });
}

std::string process_text(const ProcessInfo& process) {
  return escape_untrusted(process.name, 64) + " (pid " + std::to_string(process.key.tgid) + ")";
}

LayerTask root_task(const ContainerStart& start) {
  LayerTask task;
  task.layer.device = start.key.root.device;
  task.layer.inode = start.key.root.inode;
  task.layer.generation = start.key.root.generation;
  task.layer.magic = start.key.root.magic;
  task.start = start;
  task.start.layers.clear();
  task.is_root_directory = true;
  return task;
}

/// Why what the processes of `start` see cannot be looked at, whichever layers are known; "" when
/// it can.
std::string why_unseen(const ContainerStart& start) {
  if (!start.sandbox.empty())
    return "its processes run in " + start.sandbox +
           ": this node's kernel does not show what they see";
  if (start.is_host_root) return "it runs on the host's own root file system";
  if (start.cause == StartCause::kRecord)
    return "its runtime says that it runs, and no process of it showed a root of its own";
  return "";
}

}  // namespace

std::string_view to_string(RunKind kind) {
  switch (kind) {
    case RunKind::kContainer:
      return "container";
    case RunKind::kInner:
      return "inner";
    case RunKind::kSandbox:
      return "sandbox";
    case RunKind::kChroot:
      return "chroot";
    case RunKind::kHostRoot:
      return "host-root";
    case RunKind::kVmSandbox:
      return "vm-sandbox";
  }
  return "unknown";
}

std::string_view to_string(StartCause cause) {
  switch (cause) {
    case StartCause::kExec:
      return "exec";
    case StartCause::kNoExec:
      return "no-exec";
    case StartCause::kSweep:
      return "sweep";
    case StartCause::kInjectedExec:
      return "injected-exec";
    case StartCause::kChildExec:
      return "child-exec";
    case StartCause::kRecord:
      return "record";
  }
  return "unknown";
}

std::string_view to_string(Budget budget) {
  return budget == Budget::kStarts ? "starts" : "execs";
}

RunId make_run_id(std::string_view boot_id, const RunKey& key, const ProcessKey& first_process) {
  std::string fields;
  append_field(fields, "assay-run");
  append_field(fields, boot_id);
  append_field(fields, key.root.device);
  append_field(fields, key.root.inode);
  append_field(fields, std::uint64_t{key.root.generation});
  append_field(fields, key.cgroup_id);
  append_field(fields, std::uint64_t{first_process.tgid});
  append_field(fields, static_cast<std::uint64_t>(first_process.start.count()));
  return sha256(fields).hex().substr(0, kRunIdDigits);
}

RunKind kind_of(const ContainerStart& start, const ContainerNames& names,
                const KindContext& context) {
  if (!start.sandbox.empty()) return RunKind::kVmSandbox;
  if (start.is_host_root) return RunKind::kHostRoot;
  if (start.in_host_mount_namespace) return RunKind::kChroot;
  const bool is_seen = start.cause != StartCause::kRecord;  // else no namespace of it is known
  if (is_seen && (context.shares_known_namespace || context.shares_known_cgroup))
    return RunKind::kInner;
  return kind_by_names(RunKind::kContainer, names);
}

RunKind kind_by_names(RunKind kind, const ContainerNames& names) {
  const bool is_pause = kind == RunKind::kContainer && names.are_confirmed() && is_sandbox(names);
  return is_pause ? RunKind::kSandbox : kind;
}

std::string lineage_text(const ContainerStart& start) {
  std::string text = "started by ";
  const std::size_t named = std::min(start.ancestors.size(), kMaxAncestorsNamed);
  if (named == 0) text += "a process that was gone";
  for (std::size_t i = 0; i < named; ++i)
    text += (i == 0 ? "" : i == 1 ? " of " : ", ") + process_text(start.ancestors[i]);
  if (named < start.ancestors.size()) text += " and others";
  const std::string login = catalog::login_text(start.login);
  return login.empty() ? text : text + "; " + login;
}

LayerPlan plan_layers(const ContainerStart& start) {
  LayerPlan plan;
  plan.unsupported = why_unseen(start);
  const bool has_layers = start.is_overlay && !start.layers.empty() && !start.is_host_root;
  if (!plan.unsupported.empty() && !has_layers) return plan;
  const bool is_stack = start.is_overlay || start.other_stack != OtherStack::kNone ||
                        start.key.root.magic == kOverlayMagic;
  if (!is_stack) {
    plan.tasks.push_back(root_task(start));
    return plan;
  }
  if (start.layers.empty() || start.layers_truncated) {
    // Named, so that no other root has the same stack: a sweep may replace it for this one alone.
    const RootIdentity& root = start.key.root;
    plan.unsupported =
        "the kernel's overlay layers could not be read (root " +
        std::to_string(major(root.device)) + ":" + std::to_string(minor(root.device)) + ", inode " +
        std::to_string(root.inode) + ", generation " + std::to_string(root.generation) + ")";
    return plan;
  }
  ContainerStart context = start;
  context.layers.clear();
  for (const LowerLayer& layer : start.layers) {
    LayerTask task;
    task.layer = layer;
    task.start = context;
    plan.tasks.push_back(std::move(task));
  }
  plan.tasks.back().is_top = true;
  return plan;
}

catalog::StackLayer bare_layer(const LayerTask& task) {
  catalog::StackLayer layer;
  const LowerLayer& lower = task.layer;
  layer.instance.file_system =
      "dev:" + std::to_string(major(lower.device)) + ":" + std::to_string(minor(lower.device));
  layer.instance.inode = lower.inode;
  layer.instance.generation = lower.generation;
  layer.name = task.is_root_directory ? "/" : lower.name;
  return layer;
}

void take_claim(catalog::StackLayer& layer, const LayerClaim& claim) {
  layer.evidence.claimed = claim.diff_id;
  layer.evidence.claimed_chain = claim.chain_id;
  layer.evidence.is_claim_for_display = claim.is_for_display;
}

bool complete_names(ContainerNames& names, const ContainerNames& more) {
  const ContainerNames before = names;
  const auto fill_text = [&](std::string ContainerNames::*text) {
    if ((names.*text).empty()) names.*text = more.*text;
  };
  for (const auto text :
       {&ContainerNames::container_id, &ContainerNames::runtime, &ContainerNames::name,
        &ContainerNames::image, &ContainerNames::image_id, &ContainerNames::pod_name,
        &ContainerNames::pod_namespace, &ContainerNames::pod_uid})
    fill_text(text);
  if (!names.config_digest) names.config_digest = more.config_digest;
  if (!names.manifest_digest) names.manifest_digest = more.manifest_digest;
  if (!names.repo_digest) names.repo_digest = more.repo_digest;
  for (const auto& label : more.labels)
    if (names.labels.size() < catalog::kMaxLabels) names.labels.insert(label);
  names.is_bound_to_kernel |= more.is_bound_to_kernel;
  names.is_users_to_write |= more.is_users_to_write;
  return names != before;
}

std::string file_system_name(std::uint32_t magic) {
  struct Row {
    std::uint32_t magic;
    const char* name;
  };
  // include/uapi/linux/magic.h; zfs and aufs from their own sources
  static constexpr Row kRows[] = {
      {kOverlayMagic, "overlay"}, {0x61756673, "aufs"},  {0x65735546, "fuse"},
      {0xe0f5e1e2, "erofs"},      {0x9123683e, "btrfs"}, {0x2fc12fc1, "zfs"},
      {0x58465342, "xfs"},        {0xef53, "ext4"},      {0x01021994, "tmpfs"},
      {0x73717368, "squashfs"},   {0x6969, "nfs"},       {0x01021997, "9p"},
      {0x858458f6, "ramfs"},      {0xf2f52010, "f2fs"},  {0xca451a4e, "bcachefs"},
      {0xff534d42, "cifs"},       {0xfe534d42, "smb2"},  {0x00c36400, "ceph"},
      {0x5346414f, "afs"}};
  for (const Row& row : kRows)
    if (row.magic == magic) return row.name;
  char text[16];
  std::snprintf(text, sizeof(text), "0x%x", magic);
  return text;
}

RunChange change_of(const AgentEvent& event) {
  if (const auto* ended = std::get_if<RunEnded>(&event)) return RunClosed{ended->run_id};
  if (const auto* moved = std::get_if<StackAdvanced>(&event))
    return RunsMoved{moved->from, moved->to};
  if (const auto* viewed = std::get_if<RunViewed>(&event); viewed && viewed->stack)
    return RunMoved{viewed->run_id, *viewed->stack};
  const auto* run = std::get_if<RunStarted>(&event);
  if (const auto* present = std::get_if<RunPresent>(&event)) run = &present->run;
  if (run == nullptr || !run->stack) return {};
  return OpenRun{run->run_id, run->start.key, run->start.process.key,
                 *run->stack, run->started,   run->start.time};
}

}  // namespace assay::agent
