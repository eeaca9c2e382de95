"""What is measured on the live system while it is being broken."""
