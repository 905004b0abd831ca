package httpapi

func exportRoutes() []route { return nil }
