// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/probe_fixture.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/support/needs.h"

namespace assay::tests {

namespace fs = std::filesystem;
using agent::ContainerExec;
using agent::ContainerStart;

namespace {

std::string unified_hierarchy() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string device, folder, type, rest; mounts >> device >> folder >> type;) {
    std::getline(mounts, rest);
    if (type == "cgroup2") return folder;
  }
  FAIL("no cgroup2 is mounted");
  return {};
}

}  // namespace

ContainerCgroup::ContainerCgroup(char digit)
    : path_(unified_hierarchy() + "/" + std::string(64, digit)) {
  REQUIRE(::mkdir(path_.c_str(), 0755) == 0);
  struct stat status {};
  REQUIRE(::stat(path_.c_str(), &status) == 0);
  id_ = status.st_ino;
}

ContainerCgroup::~ContainerCgroup() {
  ::rmdir(path_.c_str());
}

std::string missing_need() {
  if (::geteuid() != 0) return "needs root";
  if (::access("/sys/kernel/btf/vmlinux", R_OK) != 0) return "needs a kernel with BTF";
  return {};
}

template <typename Change>
void RecordingSink::change(Change change) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !is_held_; });
  change();
  changed_.notify_all();
}

void RecordingSink::hold(bool is_held) {
  const std::lock_guard lock(mutex_);
  is_held_ = is_held;
  changed_.notify_all();
}
void RecordingSink::on_start(ContainerStart start) {
  change([&] { starts_.push_back(std::move(start)); });
}
void RecordingSink::on_exec(ContainerExec exec) {
  change([&] { execs_.push_back(std::move(exec)); });
}
void RecordingSink::on_emptied(agent::RunEmptied emptied) {
  change([&] { emptied_.push_back(emptied); });
}
void RecordingSink::on_sweep(agent::SweepCompleted sweep) {
  change([&] { sweeps_.push_back(std::move(sweep)); });
}
void RecordingSink::on_gap(agent::ObservationGap gap) {
  change([&] { gaps_.push_back(gap); });
}
void RecordingSink::on_noise(agent::RunNoise noise) {
  change([&] { noises_.push_back(noise); });
}
void RecordingSink::on_checkpoint(agent::Checkpoint checkpoint) {
  if (agent::EventSource* source = source_) source->release(checkpoint.ticket);
}

std::vector<ContainerStart> RecordingSink::starts() const {
  const std::lock_guard lock(mutex_);
  return starts_;
}
std::vector<ContainerExec> RecordingSink::execs() const {
  const std::lock_guard lock(mutex_);
  return execs_;
}
std::vector<agent::RunEmptied> RecordingSink::emptied() const {
  const std::lock_guard lock(mutex_);
  return emptied_;
}
std::vector<agent::SweepCompleted> RecordingSink::sweeps() const {
  const std::lock_guard lock(mutex_);
  return sweeps_;
}
std::vector<agent::ObservationGap> RecordingSink::gaps() const {
  const std::lock_guard lock(mutex_);
  return gaps_;
}
std::vector<agent::RunNoise> RecordingSink::noises() const {
  const std::lock_guard lock(mutex_);
  return noises_;
}

bool RecordingSink::wait_for(const std::function<bool()>& condition) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  return true;
}

Program::Program(std::vector<std::string> argv) {
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
  const UniqueFd their_in(in[0]);
  const UniqueFd their_out(out[1]);
  input_.reset(in[1]);
  output_.reset(out[0]);
  std::vector<char*> pointers;
  for (std::string& argument : argv)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, their_in.get(), 0);
  posix_spawn_file_actions_adddup2(&files, their_out.get(), 1);
  const int error = ::posix_spawnp(&pid_, pointers[0], &files, nullptr, pointers.data(), ::environ);
  posix_spawn_file_actions_destroy(&files);
  INFO(argv[0]);
  REQUIRE(error == 0);
}

Program::~Program() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Program::write_line(const std::string& line) {
  const std::string bytes = line + "\n";
  REQUIRE(::write(input_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

std::string Program::read_line() {
  std::string line;
  char byte = 0;
  while (::read(output_.get(), &byte, 1) == 1 && byte != '\n')
    line += byte;
  return line;
}

int Program::finish() {
  input_.reset();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string starter_path() {
  return fs::read_symlink("/proc/self/exe").parent_path() / "starter";
}

Bundle::Bundle(int layers) : layers_(layers) {
  // Beside the test's binary: the file system of /tmp may not serve as an upper directory.
  std::string pattern = fs::read_symlink("/proc/self/exe").parent_path() / "bundle-XXXXXX";
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
  for (const char* folder : {"/upper", "/work", "/merged"})
    fs::create_directory(path_ + folder);
  for (int i = 0; i < layers; ++i) {
    fs::create_directories(layer(i));
    std::ofstream(layer(i) + "/layer-" + std::to_string(i)) << i;
  }
  fs::create_directories(layer(0) + "/bin");
  fs::create_directory(layer(0) + "/tmp");
  fs::copy_file(starter_path(), layer(0) + "/bin/starter");
  struct stat upper {};
  REQUIRE(::stat((path_ + "/upper").c_str(), &upper) == 0);
  upper_inode_ = upper.st_ino;
  upper_generation_ = generation_of(path_ + "/upper");
}

Bundle::~Bundle() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string Bundle::lowerdir() const {
  std::string text;
  for (int i = layers_ - 1; i >= 0; --i)
    text += "l/" + std::to_string(i) + (i > 0 ? ":" : "");
  return text;
}

std::vector<std::string> Bundle::run(const std::vector<std::string>& argv,
                                     const std::vector<std::string>& options) const {
  std::vector<std::string> all{starter_path(), "run", path_, lowerdir()};
  all.insert(all.end(), options.begin(), options.end());
  all.emplace_back("--");
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

std::uint32_t generation_of(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  long version = 0;
  REQUIRE(::ioctl(fd.get(), FS_IOC_GETVERSION, &version) == 0);
  return static_cast<std::uint32_t>(version);
}

std::vector<ContainerStart> starts_of(const RecordingSink& sink, const Bundle& bundle) {
  std::vector<ContainerStart> all = sink.starts();
  std::erase_if(all, [&](const ContainerStart& start) { return !bundle.owns(start.key); });
  return all;
}

std::vector<ContainerExec> execs_of(const RecordingSink& sink, const Bundle& bundle) {
  std::vector<ContainerExec> all = sink.execs();
  std::erase_if(all, [&](const ContainerExec& exec) { return !bundle.owns(exec.key); });
  return all;
}

std::size_t ends_of(const RecordingSink& sink, const Bundle& bundle) {
  const auto all = sink.emptied();
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [&](const agent::RunEmptied& end) { return bundle.owns(end.key); }));
}

HeldContainer::HeldContainer(const Bundle& bundle, const std::vector<std::string>& options)
    : program(bundle.run({kStarterInside, "hold"}, options)) {
  pid = program.read_line().substr(4);
  REQUIRE(program.read_line() == "ready");
}

void HeldContainer::execute() {
  program.write_line("exec");
  REQUIRE(program.read_line() == "done");
}

void run_short(const Bundle& bundle, const std::vector<std::string>& options) {
  Program container(bundle.run({kStarterInside, "true"}, options));
  REQUIRE(container.finish() == 0);
}

std::vector<std::unique_ptr<Bundle>> make_bundles(int count, int layers) {
  std::vector<std::unique_ptr<Bundle>> bundles;
  for (int i = 0; i < count; ++i)
    bundles.push_back(std::make_unique<Bundle>(layers));
  return bundles;
}

RunningProbe::RunningProbe(agent::ProbeOptions options, std::optional<BootTime> absent_since) {
  auto created = agent::BpfEventSource::create(std::move(options), clock);
  if (!created) FAIL(created.error().text());
  source = std::move(*created);
  sink.store_for(source.get());
  auto started = source->start(sink, absent_since);
  if (!started) FAIL(started.error().text());
  REQUIRE(sink.wait_for([&] { return !sink.sweeps().empty(); }));
}

void run_to_end(const RunningProbe& probe) {
  const Bundle bundle(1);
  run_short(bundle);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
}

}  // namespace assay::tests
