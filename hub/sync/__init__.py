"""How order state moves: intake, plan, push, settle, observe, and the projection the CRM sees."""
