// The training kernels for one instruction set; cmake/Core.cmake gives this file its flags.
#include "cpu/train_kernel_table.hpp"
