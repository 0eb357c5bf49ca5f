# SPDX-License-Identifier: Apache-2.0
# How programs are hardened. deploy/lib/hardening.sh looks at what came of it, and
# tests/unit/deploy/hardening_test.py runs it.
include(CheckCXXCompilerFlag)

# Position independent (its address is random), and all of the dynamic linker's tables read-only once it runs.
set(ASSAY_HARDENED_LINK -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

# Of what is shipped: checks of the stack, of the C library's and of the C++ library's bounds. Sanitizers have their
# own, and -O1 leaves FORTIFY little to see.
set(ASSAY_HARDENED_COMPILE -fPIE -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE
  -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS -Wformat -Werror=format-security)
check_cxx_compiler_flag(-fcf-protection=full ASSAY_HAS_CF_PROTECTION)  # amd64 alone
if(ASSAY_HAS_CF_PROTECTION)
  list(APPEND ASSAY_HARDENED_COMPILE -fcf-protection=full)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  list(APPEND ASSAY_HARDENED_COMPILE -mbranch-protection=standard)
endif()

# assay_harden(TARGET): everything that links the INTERFACE library TARGET.
function(assay_harden target)
  if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(${target} INTERFACE ${ASSAY_HARDENED_COMPILE})
  endif()
  target_link_options(${target} INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${ASSAY_HARDENED_LINK}>)
endfunction()
