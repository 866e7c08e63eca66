"""Fine-tuning: exact packed batches, DeepSpeed, checkpoints that continue bit for bit, export."""
