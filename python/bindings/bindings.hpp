// What the files of the extension module add to it.
#pragma once

#include <nanobind/nanobind.h>

namespace smoothcert::python {

void bind_statistics(nanobind::module_& m);
void bind_models(nanobind::module_& m);
void bind_certify(nanobind::module_& m);
void bind_attacks(nanobind::module_& m);
void bind_training(nanobind::module_& m);
void bind_store(nanobind::module_& m);

}  // namespace smoothcert::python
