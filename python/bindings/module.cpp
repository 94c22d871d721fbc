// The extension module smoothcert._core: the library's calls, with no policy of their own.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/version.hpp"

namespace nb = nanobind;

namespace {

/// The exception classes live in Python, where UsageError can be a ValueError as well.
void raise(const char* name, const char* message) {
  const nb::object type = nb::module_::import_("smoothcert._errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

}  // namespace

NB_MODULE(_core, m) {
  m.attr("version") = smoothcert::kVersion;
  m.attr("arithmetic") = smoothcert::kArithmetic;
  nb::register_exception_translator([](const std::exception_ptr& failure, void*) {
    try {
      std::rethrow_exception(failure);
    } catch (const smoothcert::UsageError& error) {
      raise("UsageError", error.what());
    } catch (const smoothcert::Interrupted& error) {
      raise("Interrupted", error.what());
    } catch (const smoothcert::Error& error) {
      raise("Error", error.what());
    }
  });
  m.def("describe_cuda", &smoothcert::describe_cuda, "Devices and library versions, line by line.");
  smoothcert::python::bind_statistics(m);
  smoothcert::python::bind_models(m);
  smoothcert::python::bind_certify(m);
  smoothcert::python::bind_attacks(m);
  smoothcert::python::bind_training(m);
  smoothcert::python::bind_store(m);
}
