// The training kernels for one instruction set; cmake/Core.cmake gives this file its flags.
#define SMOOTHCERT_ISA baseline
#include "cpu/train_kernel_table.hpp"
