// Models as Python holds them: our own networks and other people's forward passes.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "smoothcert/backend.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/external_model.hpp"
#include "smoothcert/network.hpp"
#include "waiting.hpp"

namespace smoothcert::python {

/// Something that votes. One call at a time: a second one is refused, not queued.
class Model {
 public:
  virtual ~Model() = default;
  virtual BackendModel& backend() = 0;
  /// What a certification request names it by; without weights for an external model.
  virtual const Network& network() const = 0;

  /// Marks the model as in use while it lives. Throws UsageError where it is.
  class Use {
   public:
    explicit Use(Model& model);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    /// wait_for(), with the model's forward passes on the thread that waits.
    void wait_for(const nanobind::object& on_progress, const Work& work);

   private:
    Model& model_;
  };

 protected:
  /// Where forward passes of the caller's belong: none where no other thread is at work.
  [[nodiscard]] CallerThread* caller() const { return caller_; }

 private:
  bool in_use_ = false;
  CallerThread* caller_ = nullptr;
};

/// Images as the library takes them. Held by Python, so that runs need no copy.
struct Images {
  Dataset data;
};

}  // namespace smoothcert::python
