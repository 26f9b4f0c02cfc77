"""Networks: AlexNet and its relatives, local response normalisation, initial weights."""
