# SMOOTHCERT_CUDA_WHEELS: folders of NVIDIA's pip wheels (nvidia/cublas, nvidia/cudnn, nvidia/cu13 …),
# each with include/ and lib/; empty without python3.
find_package(Python3 QUIET COMPONENTS Interpreter)
set(SMOOTHCERT_CUDA_WHEELS "")
if(Python3_Interpreter_FOUND)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c [=[
import glob, importlib.util, os
spec = importlib.util.find_spec("nvidia")
bases = spec.submodule_search_locations if spec else []
print(";".join(f for b in bases for f in sorted(glob.glob(os.path.join(b, "*"))) if os.path.isdir(f)))
]=]
    OUTPUT_VARIABLE SMOOTHCERT_CUDA_WHEELS OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
