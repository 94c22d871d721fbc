// How the built-in digits are written: pen strokes through control points, several ways a digit.
#pragma once

#include <span>

namespace smoothcert {

struct GlyphPoint {
  float x, y;  ///< x to the right, y down; a digit is one unit high
};

/// A smooth curve through its points; a corner is the end of one stroke and the start of the next.
using GlyphStroke = std::span<const GlyphPoint>;
/// One way to write a digit.
using Glyph = std::span<const GlyphStroke>;

/// The ways to write `digit`, 0 to 9.
std::span<const Glyph> glyphs(int digit);

}  // namespace smoothcert
