// What a radius is a statement about: the program as it runs, or the mathematics it stands for.
#pragma once

#include <string>
#include <string_view>

#include "smoothcert/backend.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {

/// Every place that prints, lists, names or exports a radius says which of these it is.
enum class Soundness {
  as_executed,       ///< integer noise, our own forward pass: holds for the program as it ran
  independent_rows,  ///< integer noise, a caller's forward pass: holds where a sample's answer does
                     ///< not depend on the samples it shares a batch with
  real_arithmetic,  ///< continuous noise: x + σε leaks x in floating point, so the guarantee is one
                    ///< about real numbers only (Voráček and Hein, ICLR 2023)
};

Soundness soundness_of(NoiseLaw noise, Mode mode);

/// The words for people: "sound as executed", "sound if rows are independent", "in real arithmetic
/// only".
std::string_view soundness_text(Soundness soundness);
/// One word for files and columns: "executed", "rows", "real".
std::string_view to_name(Soundness soundness);
/// Throws Error naming `where`.
Soundness soundness_from_name(std::string_view name, const std::string& where);

}  // namespace smoothcert
