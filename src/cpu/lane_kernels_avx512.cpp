// The lane kernels for one instruction set; cmake/Core.cmake gives this file its flags.
#include "cpu/lane_kernel_table.hpp"
