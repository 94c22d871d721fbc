// The short list of names that a checkpoint's pickle may ask for, and what each makes of its
// arguments.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/pickle.hpp"

namespace smoothcert {

/// Whether "module.name" is on the list.
bool is_known_global(std::string_view name);

/// "float32" for torch.FloatStorage and so on; "" for anything that is no storage type.
std::string storage_dtype(std::string_view name);

/// Bytes of an element of one of these.
std::uint64_t dtype_size(std::string_view dtype);

/// What calling the global with these arguments gives; nothing where the arguments do not fit it,
/// an opaque value where they ask for what is not implemented.
std::optional<PickleValue> call_global(const Pickle& pickle, std::string_view name,
                                       const PickleValue& arguments);

/// Sets the state of a NumPy array or dtype; false where it does not fit it.
bool set_numpy_state(const Pickle& pickle, PickleValue& value, ValueId state);

/// The storage that a persistent id names: ('storage', type, key, location, elements).
std::optional<PickleValue> persistent_storage(const Pickle& pickle, const PickleValue& id);

}  // namespace smoothcert
