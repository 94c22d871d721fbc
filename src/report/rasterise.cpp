// Charts as PNG and PDF, where librsvg and cairo were found at build time.
#include "report/rasterise.hpp"

#include "smoothcert/error.hpp"

#ifdef SMOOTHCERT_RSVG
#include <cairo-pdf.h>
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

namespace {

struct Drawing {
  std::unique_ptr<RsvgHandle, Deleter<unref>> handle;
  double width = 0, height = 0;

  explicit Drawing(const std::string& svg) {
    GError* error = nullptr;
    handle.reset(
        rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(svg.data()), svg.size(), &error));
    if (!handle) fail(error);
    if (!rsvg_handle_get_intrinsic_size_in_pixels(handle.get(), &width, &height))
      throw Error("report: a chart has no size in pixels");
  }

  void draw_on(cairo_surface_t* surface, double scale) const {
    const std::unique_ptr<cairo_t, Deleter<cairo_destroy>> context(cairo_create(surface));
    const RsvgRectangle viewport{0, 0, width * scale, height * scale};
    GError* error = nullptr;
    if (!rsvg_handle_render_document(handle.get(), context.get(), &viewport, &error)) fail(error);
  }
};

}  // namespace

std::vector<std::uint8_t> rasterise(const std::string& svg, double scale) {
  const Drawing drawing(svg);
  scale = std::min(scale, kMostPixels / std::max(drawing.width, drawing.height));
  const std::unique_ptr<cairo_surface_t, Deleter<cairo_surface_destroy>> surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24,
                                 static_cast<int>(std::ceil(drawing.width * scale)),
                                 static_cast<int>(std::ceil(drawing.height * scale))));
  drawing.draw_on(surface.get(), scale);
  std::vector<std::uint8_t> png;
  if (cairo_surface_write_to_png_stream(surface.get(), append, &png) != CAIRO_STATUS_SUCCESS)
    throw Error("report: cannot encode a chart as PNG");
  return png;
}

std::vector<std::uint8_t> pdf(const std::string& svg) {
  constexpr double kPointsPerPixel = 0.75;  // 96 pixels and 72 points an inch
  const Drawing drawing(svg);
  std::vector<std::uint8_t> bytes;
  {
    const std::unique_ptr<cairo_surface_t, Deleter<cairo_surface_destroy>> surface(
        cairo_pdf_surface_create_for_stream(append, &bytes, drawing.width * kPointsPerPixel,
                                            drawing.height * kPointsPerPixel));
    drawing.draw_on(surface.get(), kPointsPerPixel);
    cairo_surface_finish(surface.get());
    if (cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS)
      throw Error("report: cannot encode a chart as PDF");
  }
  return bytes;
}

#else

std::string rasteriser_missing() {
  return "charts were written as SVG only: this build has no librsvg (librsvg2-dev)";
}

std::vector<std::uint8_t> rasterise(const std::string&, double) {
  throw Error(rasteriser_missing());
}

std::vector<std::uint8_t> pdf(const std::string&) { throw Error(rasteriser_missing()); }

#endif

}  // namespace smoothcert::report
