// The lane kernels for one instruction set; cmake/Core.cmake gives this file its flags.
#define SMOOTHCERT_ISA baseline
#include "cpu/lane_kernel_table.hpp"
