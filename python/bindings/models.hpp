// Models as Python holds them: our own networks and other people's forward passes.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "smoothcert/backend.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/external_model.hpp"
#include "smoothcert/network.hpp"

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

   private:
    Model& model_;
  };

 private:
  bool in_use_ = false;
};

/// Images as the library takes them. Held by Python, so that runs need no copy.
struct Images {
  Dataset data;
};

}  // namespace smoothcert::python
