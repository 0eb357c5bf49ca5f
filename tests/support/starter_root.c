// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "starter_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static void die(const char* what) {
  fprintf(stderr, "starter: %s: %s\n", what, strerror(errno));
  exit(120);
}

static int open_layer(const char* name) {
  int fd = open(name, O_PATH | O_DIRECTORY);
  if (fd < 0) die(name);
  return fd;
}

static void mount_options(const struct starter_root* root, const char* lowerdir,
                          const char* folder) {
  char options[4096];
  char target[4096];
  int size = root->read_only
                 ? snprintf(options, sizeof(options), "lowerdir=%s", lowerdir)
                 : snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%supper,workdir=%swork",
                            lowerdir, folder, folder);
  if (size >= (int)sizeof(options)) die("options too long");
  snprintf(target, sizeof(target), "%smerged", folder);
  if (mount("overlay", target, "overlay", 0, options) != 0) die("mount the overlay");
}

// The layers as descriptors of this process, which nobody can look up once it is gone.
static void mount_by_numbers(const struct starter_root* root) {
  char lowerdir[4096] = "";
  char folder[3072];
  size_t used = 0;
  char* names = strdup(root->lowerdir);
  for (char* name = strtok(names, ":"); name != NULL; name = strtok(NULL, ":"))
    used += (size_t)snprintf(lowerdir + used, sizeof(lowerdir) - used, "%s%d", used ? ":" : "",
                             open_layer(name));
  if (getcwd(folder, sizeof(folder) - 1) == NULL) die("getcwd");
  strcat(folder, "/");
  if (chdir("/proc/self/fd") != 0) die("/proc/self/fd");
  mount_options(root, lowerdir, folder);
  if (chdir(folder) != 0) die(folder);
  free(names);
}

static void set(int context, unsigned int command, const char* key, const void* value, int aux) {
  if (fsconfig(context, command, key, value, aux) != 0) die(key ? key : "fsconfig");
}

static void mount_by_additions(const struct starter_root* root, int by_fd) {
  int context = fsopen("overlay", 0);
  if (context < 0) die("fsopen");
  char* names = strdup(root->lowerdir);
  for (char* name = strtok(names, ":"); name != NULL; name = strtok(NULL, ":")) {
    char path[4096];
    if (realpath(name, path) == NULL) die(name);
    if (by_fd)
      set(context, FSCONFIG_SET_FD, "lowerdir+", NULL, open_layer(name));
    else
      set(context, FSCONFIG_SET_STRING, "lowerdir+", path, 0);
  }
  free(names);
  if (!root->read_only) {
    set(context, FSCONFIG_SET_STRING, "upperdir", "upper", 0);
    set(context, FSCONFIG_SET_STRING, "workdir", "work", 0);
  }
  set(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
  int mounted = fsmount(context, 0, 0);
  if (mounted < 0) die("fsmount");
  if (move_mount(mounted, "", AT_FDCWD, "merged", MOVE_MOUNT_F_EMPTY_PATH) != 0) die("move_mount");
  close(mounted);
  close(context);
}

void starter_mount_root(const struct starter_root* root) {
  const char* way = root->lower_by ? root->lower_by : "";
  if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("make / private");
  if (chdir(root->base) != 0) die(root->base);
  if (strcmp(way, "fd") == 0)
    mount_by_numbers(root);
  else if (strcmp(way, "add") == 0 || strcmp(way, "add-fd") == 0)
    mount_by_additions(root, strcmp(way, "add-fd") == 0);
  else
    mount_options(root, root->lowerdir, "");
  if (chdir("merged") != 0) die("merged");
}

void starter_enter_root(void) {
  if (syscall(SYS_pivot_root, ".", ".") != 0) die("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) die("umount the old root");
  if (chdir("/") != 0) die("chdir /");
}
