# SPDX-License-Identifier: Apache-2.0
# Writes OUT, a header with the commit of SOURCE, when it would say something else than before. Run at each build
# (cmake -DSOURCE=… -DOUT=… -P). ASSAY_COMMIT in the environment says it for sources without a .git.
set(commit "$ENV{ASSAY_COMMIT}")
if(NOT commit)
  execute_process(COMMAND git -C "${SOURCE}" describe --always --exclude=* --abbrev=12 --dirty
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT commit MATCHES "^[0-9a-f]+(-dirty)?$")
  set(commit unknown)
endif()
set(text "#define ASSAY_COMMIT \"${commit}\"\n")
set(before "")
if(EXISTS "${OUT}")
  file(READ "${OUT}" before)
endif()
if(NOT before STREQUAL text)
  file(WRITE "${OUT}" "${text}")
endif()
