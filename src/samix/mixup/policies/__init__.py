"""One file per mixup policy; `samix.mixup.POLICIES` is the table of their names."""
