// Between the library's vectors and numpy arrays.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "smoothcert/certificate.hpp"

namespace smoothcert::python {

namespace nb = nanobind;

using PixelArray = nb::ndarray<const std::uint8_t, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using FloatArray = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using CountArray = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using CountTable = nb::ndarray<const std::uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

/// A numpy array that owns `values`.
template <class T>
nb::object to_numpy(std::vector<T> values, std::initializer_list<std::size_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, T>(kept->data(), shape, owner));
}
template <class T>
nb::object to_numpy(std::vector<T> values) {
  const std::size_t count = values.size();
  return to_numpy(std::move(values), {count});
}

template <class Array>
auto span_of(const Array& array) {
  return std::span(array.data(), array.size());
}

/// One array a field, one row a certificate.
nb::dict certificates_table(const std::vector<Certificate>& certificates, int classes);

}  // namespace smoothcert::python
