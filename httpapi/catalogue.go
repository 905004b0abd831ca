package httpapi

func catalogueRoutes() []route { return nil }
