# Flags every target shares. Exact mode forbids contraction of a*b+c everywhere but where the code
# says fmaf, so that CPU and GPU round alike.
add_library(smoothcert_options INTERFACE)
target_compile_features(smoothcert_options INTERFACE cxx_std_20)
target_compile_options(smoothcert_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off;-Wall;-Wextra;-Wno-missing-field-initializers;$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>>)
if(SMOOTHCERT_WERROR)
  target_compile_options(smoothcert_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(SMOOTHCERT_SANITIZE)
  target_compile_options(smoothcert_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=address,undefined;-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(smoothcert_options INTERFACE
    $<$<LINK_LANGUAGE:CXX>:-fsanitize=address,undefined>)
endif()

# smoothcert_quick_tests(TARGET): the tests' own code is compiled once and run once, so a third of the
# compiler's time is worth more than its speed. What they test keeps its optimisation.
function(smoothcert_quick_tests target)
  target_compile_options(${target} PRIVATE
    $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-O1;$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>>)
endfunction()

# smoothcert_precompile(TARGET HEADER…): the large headers of a target's sources, read once.
function(smoothcert_precompile target)
  if(SMOOTHCERT_PRECOMPILE AND (NOT SMOOTHCERT_PRECOMPILE STREQUAL "TESTS" OR target MATCHES "_tests$"))
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
