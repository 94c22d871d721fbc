// How the built-in digits are written: pen strokes through control points, several ways a digit.
#include "data/digit_glyphs.hpp"

namespace smoothcert {
namespace {

// clang-format off
constexpr GlyphPoint k0a[] = {{.55f,.02f},{.25f,.12f},{.10f,.45f},{.15f,.80f},{.40f,.98f},{.70f,.85f},{.80f,.50f},{.72f,.15f},{.50f,.03f},{.40f,.05f}};
constexpr GlyphPoint k0b[] = {{.66f,.12f},{.40f,.02f},{.16f,.28f},{.10f,.70f},{.34f,.97f},{.64f,.84f},{.78f,.42f},{.64f,.10f},{.48f,.04f}};
constexpr GlyphPoint k0c[] = {{.40f,.05f},{.22f,.30f},{.20f,.72f},{.40f,.98f},{.62f,.74f},{.62f,.28f},{.44f,.03f}};

constexpr GlyphPoint k1a[] = {{.50f,.00f},{.50f,.50f},{.50f,1.0f}};
constexpr GlyphPoint k1b[] = {{.64f,.00f},{.50f,.50f},{.36f,1.0f}};
constexpr GlyphPoint k1flag[] = {{.26f,.24f},{.42f,.13f},{.52f,.00f}};
constexpr GlyphPoint k1stem[] = {{.52f,.00f},{.52f,.50f},{.50f,1.0f}};
constexpr GlyphPoint k1base[] = {{.24f,1.0f},{.50f,.99f},{.76f,1.0f}};

constexpr GlyphPoint k2a[] = {{.12f,.25f},{.25f,.06f},{.55f,.02f},{.75f,.20f},{.65f,.48f},{.35f,.78f},{.10f,.98f}};
constexpr GlyphPoint k2foot[] = {{.10f,.98f},{.45f,.94f},{.86f,.97f}};
constexpr GlyphPoint k2loop[] = {{.14f,.22f},{.35f,.03f},{.65f,.08f},{.72f,.32f},{.50f,.64f},{.20f,.94f},{.07f,.86f},{.22f,.76f},{.44f,.87f},{.66f,.98f},{.92f,.88f}};

constexpr GlyphPoint k3top[] = {{.15f,.12f},{.40f,.01f},{.70f,.13f},{.62f,.37f},{.34f,.46f}};
constexpr GlyphPoint k3bow[] = {{.34f,.46f},{.68f,.54f},{.80f,.76f},{.56f,.98f},{.25f,.97f},{.08f,.85f}};
constexpr GlyphPoint k3bar[] = {{.12f,.03f},{.45f,.03f},{.76f,.03f}};
constexpr GlyphPoint k3diagonal[] = {{.76f,.03f},{.55f,.24f},{.38f,.40f}};
constexpr GlyphPoint k3belly[] = {{.38f,.40f},{.70f,.48f},{.78f,.75f},{.50f,.98f},{.10f,.90f}};

constexpr GlyphPoint k4left[] = {{.20f,.02f},{.14f,.30f},{.12f,.55f}};
constexpr GlyphPoint k4across[] = {{.12f,.55f},{.40f,.54f},{.82f,.50f}};
constexpr GlyphPoint k4right[] = {{.70f,.05f},{.66f,.50f},{.62f,1.0f}};
constexpr GlyphPoint k4roof[] = {{.62f,.00f},{.35f,.34f},{.06f,.65f}};
constexpr GlyphPoint k4shelf[] = {{.06f,.65f},{.45f,.66f},{.90f,.63f}};
constexpr GlyphPoint k4post[] = {{.62f,.00f},{.62f,.50f},{.60f,1.0f}};

constexpr GlyphPoint k5down[] = {{.25f,.03f},{.20f,.24f},{.16f,.45f}};
constexpr GlyphPoint k5bow[] = {{.16f,.45f},{.46f,.37f},{.76f,.55f},{.72f,.85f},{.42f,.99f},{.08f,.88f}};
constexpr GlyphPoint k5hat[] = {{.25f,.03f},{.52f,.04f},{.84f,.00f}};
constexpr GlyphPoint k5s[] = {{.80f,.04f},{.50f,.03f},{.28f,.08f},{.20f,.34f},{.46f,.44f},{.73f,.62f},{.66f,.88f},{.40f,.99f},{.10f,.90f}};

constexpr GlyphPoint k6a[] = {{.66f,.02f},{.36f,.20f},{.14f,.55f},{.20f,.88f},{.48f,.99f},{.75f,.82f},{.66f,.58f},{.42f,.54f},{.18f,.72f}};
constexpr GlyphPoint k6b[] = {{.44f,.00f},{.24f,.34f},{.17f,.72f},{.36f,.98f},{.64f,.92f},{.74f,.70f},{.55f,.55f},{.32f,.64f},{.20f,.82f}};

constexpr GlyphPoint k7top[] = {{.08f,.06f},{.40f,.05f},{.80f,.03f}};
constexpr GlyphPoint k7stem[] = {{.80f,.03f},{.60f,.42f},{.42f,1.0f}};
constexpr GlyphPoint k7bar[] = {{.28f,.51f},{.50f,.49f},{.78f,.46f}};
constexpr GlyphPoint k7serif[] = {{.08f,.22f},{.09f,.12f},{.11f,.04f}};
constexpr GlyphPoint k7lid[] = {{.11f,.04f},{.45f,.06f},{.80f,.04f}};
constexpr GlyphPoint k7curve[] = {{.80f,.04f},{.58f,.40f},{.50f,1.0f}};

constexpr GlyphPoint k8a[] = {{.70f,.14f},{.45f,.01f},{.19f,.16f},{.28f,.38f},{.55f,.54f},{.73f,.78f},{.50f,.98f},{.22f,.90f},{.19f,.70f},{.42f,.50f},{.66f,.32f},{.70f,.16f},{.60f,.06f}};
constexpr GlyphPoint k8top[] = {{.45f,.46f},{.22f,.28f},{.32f,.04f},{.56f,.02f},{.70f,.20f},{.60f,.40f},{.42f,.47f}};
constexpr GlyphPoint k8bottom[] = {{.42f,.47f},{.15f,.66f},{.20f,.92f},{.50f,1.0f},{.77f,.87f},{.70f,.60f},{.45f,.46f}};

constexpr GlyphPoint k9head[] = {{.73f,.18f},{.50f,.02f},{.22f,.12f},{.14f,.36f},{.32f,.50f},{.58f,.42f},{.73f,.18f}};
constexpr GlyphPoint k9stem[] = {{.73f,.18f},{.70f,.55f},{.62f,1.0f}};
constexpr GlyphPoint k9tail[] = {{.73f,.18f},{.76f,.56f},{.65f,.88f},{.40f,.99f},{.15f,.90f}};
constexpr GlyphPoint k9one[] = {{.70f,.22f},{.55f,.03f},{.28f,.08f},{.18f,.32f},{.40f,.46f},{.66f,.30f},{.73f,.12f},{.68f,.56f},{.54f,1.0f}};

constexpr GlyphStroke s0a[] = {k0a}, s0b[] = {k0b}, s0c[] = {k0c};
constexpr GlyphStroke s1a[] = {k1a}, s1b[] = {k1b}, s1c[] = {k1flag, k1stem}, s1d[] = {k1flag, k1stem, k1base};
constexpr GlyphStroke s2a[] = {k2a, k2foot}, s2b[] = {k2loop};
constexpr GlyphStroke s3a[] = {k3top, k3bow}, s3b[] = {k3bar, k3diagonal, k3belly};
constexpr GlyphStroke s4a[] = {k4left, k4across, k4right}, s4b[] = {k4roof, k4shelf, k4post};
constexpr GlyphStroke s5a[] = {k5down, k5bow, k5hat}, s5b[] = {k5s};
constexpr GlyphStroke s6a[] = {k6a}, s6b[] = {k6b};
constexpr GlyphStroke s7a[] = {k7top, k7stem}, s7b[] = {k7top, k7stem, k7bar}, s7c[] = {k7serif, k7lid, k7curve};
constexpr GlyphStroke s8a[] = {k8a}, s8b[] = {k8top, k8bottom};
constexpr GlyphStroke s9a[] = {k9head, k9stem}, s9b[] = {k9head, k9tail}, s9c[] = {k9one};

constexpr Glyph g0[] = {s0a, s0b, s0c}, g1[] = {s1a, s1b, s1b, s1c, s1d}, g2[] = {s2a, s2b}, g3[] = {s3a, s3a, s3b};
constexpr Glyph g4[] = {s4a, s4a, s4b}, g5[] = {s5a, s5a, s5b}, g6[] = {s6a, s6b}, g7[] = {s7a, s7a, s7b, s7c};
constexpr Glyph g8[] = {s8a, s8a, s8b}, g9[] = {s9a, s9a, s9b, s9c};

constexpr std::span<const Glyph> kGlyphs[10] = {g0, g1, g2, g3, g4, g5, g6, g7, g8, g9};
// clang-format on

}  // namespace

std::span<const Glyph> glyphs(int digit) { return kGlyphs[digit]; }

}  // namespace smoothcert
