#include "report/rasterise.hpp"

#include "smoothcert/error.hpp"

#ifdef SMOOTHCERT_RSVG
#include <cairo.h>
#include <librsvg/rsvg.h>

#include <algorithm>
#include <cmath>
#include <memory>
#endif

namespace smoothcert::report {

#ifdef SMOOTHCERT_RSVG

namespace {

constexpr double kMostPixels = 16000;  // cairo takes 32767 a side

template <auto Function>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Function(p);
  }
};
void unref(RsvgHandle* handle) { g_object_unref(handle); }

cairo_status_t append(void* out, const unsigned char* bytes, unsigned int size) {
  auto& png = *static_cast<std::vector<std::uint8_t>*>(out);
  png.insert(png.end(), bytes, bytes + size);
  return CAIRO_STATUS_SUCCESS;
}

[[noreturn]] void fail(GError* error) {
  const std::string text = error != nullptr ? error->message : "unknown error";
  if (error != nullptr) g_error_free(error);
  throw Error("report: cannot draw a chart as PNG: " + text);
}

}  // namespace

std::string rasteriser_missing() { return {}; }

std::vector<std::uint8_t> rasterise(const std::string& svg, double scale) {
  GError* error = nullptr;
  const std::unique_ptr<RsvgHandle, Deleter<unref>> handle(
      rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(svg.data()), svg.size(), &error));
  if (!handle) fail(error);
  double width = 0, height = 0;
  if (!rsvg_handle_get_intrinsic_size_in_pixels(handle.get(), &width, &height))
    throw Error("report: a chart has no size in pixels");
  scale = std::min(scale, kMostPixels / std::max(width, height));
  const std::unique_ptr<cairo_surface_t, Deleter<cairo_surface_destroy>> surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(std::ceil(width * scale)),
                                 static_cast<int>(std::ceil(height * scale))));
  const std::unique_ptr<cairo_t, Deleter<cairo_destroy>> context(cairo_create(surface.get()));
  const RsvgRectangle viewport{0, 0, width * scale, height * scale};
  if (!rsvg_handle_render_document(handle.get(), context.get(), &viewport, &error)) fail(error);
  std::vector<std::uint8_t> png;
  if (cairo_surface_write_to_png_stream(surface.get(), append, &png) != CAIRO_STATUS_SUCCESS)
    throw Error("report: cannot encode a chart as PNG");
  return png;
}

#else

std::string rasteriser_missing() {
  return "charts were written as SVG only: this build has no librsvg (librsvg2-dev)";
}

std::vector<std::uint8_t> rasterise(const std::string&, double) {
  throw Error(rasteriser_missing());
}

#endif

}  // namespace smoothcert::report
