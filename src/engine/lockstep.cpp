#include "quant/lockstep.h"

#include "engine/sequences.h"

namespace quant {

struct Lockstep::State {
  Sequences sequences;
};

Lockstep::Lockstep(std::shared_ptr<const Model> model, const SessionOptions& options,
                   std::span<const KvSpec> specs)
    : state_(new State{Sequences(std::move(model), options, specs)}) {}
Lockstep::~Lockstep() = default;
Lockstep::Lockstep(Lockstep&&) noexcept = default;
Lockstep& Lockstep::operator=(Lockstep&&) noexcept = default;

void Lockstep::reset() noexcept { state_->sequences.reset(); }

void Lockstep::append(std::span<const Token> tokens, std::span<const Token> targets,
                      std::span<TokenLoss> losses, std::span<double> divergences) {
  state_->sequences.run_losses(tokens, targets, losses, divergences);
}

int Lockstep::size() const noexcept { return static_cast<int>(state_->sequences.specs().size()); }
const Model& Lockstep::model() const noexcept { return state_->sequences.model(); }
const SessionOptions& Lockstep::options() const noexcept { return state_->sequences.options(); }

const KvSpec& Lockstep::spec(int sequence) const noexcept {
  return state_->sequences.specs()[static_cast<std::size_t>(sequence)];
}

CacheMemory Lockstep::cache_memory(int sequence) const noexcept {
  return state_->sequences.memory(sequence);
}

std::string_view Lockstep::rope_factors() const noexcept {
  return state_->sequences.rope_factors();
}

}  // namespace quant
