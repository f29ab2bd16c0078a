// The chat template of a model that was asked for with --chat.
#pragma once

#include "quant/chat.h"
#include "quant/model.h"

namespace quant::tool {

/// Throws Error(kUsage) if the model has none that is known.
ChatFormat require_chat_format(const Model& model);

}  // namespace quant::tool
